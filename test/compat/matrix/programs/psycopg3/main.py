"""psycopg 3: the common checks; those of types and its own stand beside this file."""

import concurrent.futures
import decimal
import time

import own_checks  # noqa: F401
import psycopg
import types_checks  # noqa: F401
from compat import *
from connections import connect, end_by_server, fails


@check("connect")
def check_connect():
    with connect(application_name="matrix") as connection:
        expect_true(connection.pgconn.ssl_in_use, "TLS is not in use")
        expect_true(connection.info.server_version >= 140000, "no version of the server")
        row = connection.execute(
            "SELECT current_user, current_database(), current_setting('application_name'),"
            " current_setting('TimeZone'), current_setting('server_version_num')::integer"
        ).fetchone()
        expect(row[:4], (USER, DATABASE, "matrix", "UTC"), "who and where")
        expect(row[4], connection.info.server_version, "the server's version")
        expect(
            connection.info.parameter_status("application_name"), "matrix", "its parameter status"
        )
        expect(connection.info.encoding, "utf-8", "the encoding")
    # libpq tells no SQLSTATE of a failed start-up, only the server's message.
    try:
        connect(password="not it")
    except psycopg.OperationalError as error:
        expect_true(
            "password authentication failed for user" in str(error), f"not of the password: {error}"
        )
    else:
        raise AssertionError("connected with a wrong password")


@check("prepared")
def check_prepared():
    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        query = "SELECT id, owner, balance FROM accounts WHERE id = %s"

        def read_all(keys):
            for key in keys:
                row = connection.execute(query, (key,), prepare=True).fetchone()
                expect(row, (key, f"owner {key}", decimal.Decimal("100.00")), f"account {key}")

        read_all(range(1, 21))
        other.execute("ALTER TABLE accounts ADD COLUMN added integer DEFAULT 5")
        try:
            read_all(range(21, 41))
            expect(
                connection.execute(
                    "SELECT added FROM accounts WHERE id = %s", (1,), prepare=True
                ).fetchone(),
                (5,),
                "the added column",
            )
        finally:
            other.execute("ALTER TABLE accounts DROP COLUMN added")
        read_all(range(41, 61))
        for key in range(20):
            connection.execute(
                "INSERT INTO accounts (id, owner) VALUES (%s, %s)",
                (PREPARED_FIRST + key, "p"),
                prepare=True,
            )
        count = connection.execute(
            "SELECT count(*) FROM accounts WHERE id >= %s AND id < %s",
            (PREPARED_FIRST, PREPARED_FIRST + 1000),
            prepare=True,
        ).fetchone()
        expect(count, (20,), "rows inserted by a prepared statement")
        # More statements than psycopg keeps: it sends DEALLOCATE, or Close, for the oldest.
        connection.prepared_max = 3
        for round_ in range(2):
            for n in range(8):
                row = connection.execute(
                    f"SELECT %s::integer + {n}", (round_,), prepare=True
                ).fetchone()
                expect(row, (round_ + n,), "a statement that may have been evicted")


@check("pipeline")
def check_pipeline():
    with connect(autocommit=True) as connection:
        with connection.pipeline():
            cursors = [
                connection.execute("SELECT owner FROM accounts WHERE id = %s", (key,))
                for key in SOME_KEYS
            ]
            rows = [cursor.fetchone() for cursor in cursors]
        expect(
            rows, [(f"owner {key}",) for key in SOME_KEYS], "answers in the order of the questions"
        )
        insert = "INSERT INTO accounts (id, owner) VALUES (%s, %s)"

        def fail_in_the_middle():
            with connection.pipeline() as pipeline:
                connection.execute(insert, (PIPELINE_FIRST, "kept"))
                pipeline.sync()
                # The error is raised by whichever call reads it first.
                connection.execute(insert, (PIPELINE_FIRST + 1, "with the error"))
                connection.execute("SELECT 1 / %s", (0,))
                connection.execute(insert, (PIPELINE_FIRST + 2, "after the error"))

        fails("22012", fail_in_the_middle)
        with connection.pipeline():
            last = connection.execute(insert, (PIPELINE_FIRST + 3, "another pipeline"))
        expect(last.rowcount, 1, "a pipeline after the error")
        rows = connection.execute(
            "SELECT id FROM accounts WHERE id BETWEEN %s AND %s ORDER BY id",
            (PIPELINE_FIRST, PIPELINE_FIRST + 9),
        ).fetchall()
        # A segment is one implicit transaction: the error takes along what was before it.
        expect(rows, [(PIPELINE_FIRST,), (PIPELINE_FIRST + 3,)], "rows after the error")


@check("copy")
def check_copy():
    rows = copied_rows()
    target = "accounts (id, owner, balance, note)"
    selected = (
        "SELECT id, owner, balance, note FROM accounts"
        f" WHERE id >= {COPY_FIRST} AND id < {COPY_FIRST + COPY_ROWS}"
    )
    types = ["int8", "text", "numeric", "text"]
    for options in ("", "(FORMAT binary)"):
        with connect() as connection, connection.cursor() as cursor:
            with cursor.copy(f"COPY {target} FROM STDIN {options}") as copy:
                copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
            expect(cursor.rowcount, COPY_ROWS, "rows copied in")
            cursor.execute(f"SELECT count(*), sum(balance) FROM ({selected}) AS copied")
            expect(cursor.fetchone(), (COPY_ROWS, sum(row[2] for row in rows)), "what is there")
            with cursor.copy(f"COPY ({selected} ORDER BY id) TO STDOUT {options}") as copy:
                copy.set_types(types)
                expect(list(copy.rows()), rows, "rows copied out")
            with cursor.copy(f"COPY {target} TO STDOUT {options}") as copy:
                copy.set_types(types)
                everything = sorted(copy.rows())
            expect(
                [row for row in everything if row[0] >= COPY_FIRST], rows, "the table copied out"
            )
            connection.rollback()
    with connect(autocommit=True) as connection, connection.cursor() as cursor:

        def copy_wrong():
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                copy.write(
                    f"{COPY_FIRST}\tgood\t1\t\\N\n{COPY_FIRST + 1}\tbad\tnot a number\t\\N\n"
                )

        error = fails("22P02", copy_wrong)
        expect_true(
            "line 2" in (error.diag.context or ""), f"no line in the context: {error.diag.context}"
        )

        def leave():
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                copy.write_row(rows[0])
                raise LookupError("left by the client")

        try:
            leave()
        except LookupError:
            pass
        expect(
            cursor.execute(
                "SELECT count(*) FROM accounts WHERE id >= %s", (COPY_FIRST,)
            ).fetchone(),
            (0,),
            "rows of failed copies",
        )


@check("cursor")
def check_cursor():
    with connect() as connection:
        with connection.cursor("scattered") as cursor:
            cursor.itersize = 150
            cursor.execute("SELECT id, owner FROM accounts WHERE id <= %s ORDER BY id", (ACCOUNTS,))
            expect(cursor.fetchmany(3), [(n, f"owner {n}") for n in (1, 2, 3)], "the first rows")
            expect([row[0] for row in cursor], list(range(4, ACCOUNTS + 1)), "the rest, in order")
        with connection.cursor() as cursor:
            cursor.execute("SELECT owner FROM accounts WHERE id = 5")
            expect(cursor.fetchone(), ("owner 5",), "the transaction after the cursor")


@check("cancel")
def check_cancel():
    with connect(autocommit=True) as connection:
        for cancel in (connection.cancel, connection.cancel_safe):
            for sql in (
                "SELECT pg_sleep(20)",
                "SELECT count(*) FROM accounts WHERE pg_sleep(id * 0.1) IS NOT NULL",
            ):
                with concurrent.futures.ThreadPoolExecutor() as threads:
                    cancelled = threads.submit(lambda: (time.sleep(0.5), cancel()))
                    began = time.monotonic()
                    fails("57014", lambda: connection.execute(sql))
                    expect_true(time.monotonic() - began < 10, "the cancel came late")
                    cancelled.result()
                expect(connection.execute("SELECT 1").fetchone(), (1,), "the connection goes on")
        connection.execute("SET statement_timeout = '200ms'")
        fails("57014", lambda: connection.execute("SELECT pg_sleep(20)"))
        connection.execute("RESET statement_timeout")
        expect(
            connection.execute("SELECT pg_sleep(0.3) IS NOT NULL").fetchone(),
            (True,),
            "no timeout any more",
        )


@check("transactions")
def check_transactions():
    first = TRANSACTIONS_FIRST
    insert = "INSERT INTO accounts (id, owner) VALUES (%s, %s)"

    def present(connection):
        rows = connection.execute(
            "SELECT id - %s FROM accounts WHERE id >= %s AND id < %s ORDER BY id",
            (first, first, first + 1000),
        ).fetchall()
        return [row[0] for row in rows]

    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        with connection.transaction():
            for key in range(16):
                connection.execute(insert, (first + key, "committed"))
            expect(present(other), [], "before the commit")
        expect(present(other), list(range(16)), "after the commit")
        with connection.transaction() as transaction:
            connection.execute(
                "DELETE FROM accounts WHERE id >= %s AND id < %s", (first, first + 1000)
            )
            expect(present(connection), [], "within the transaction")
            raise psycopg.Rollback(transaction)
        expect(present(other), list(range(16)), "after the rollback")
        with connection.transaction():
            connection.execute(insert, (first + 20, "outer"))
            try:
                with connection.transaction():
                    for key in range(30, 46):
                        connection.execute(insert, (first + key, "inner"))
                    connection.execute(insert, (first, "there already"))
            except psycopg.errors.UniqueViolation:
                pass
            with connection.transaction():
                connection.execute(insert, (first + 21, "inner"))
            expect(present(connection), [*range(16), 20, 21], "after the rollback to a savepoint")
        expect(present(other), [*range(16), 20, 21], "after the outer commit")
    with connect() as connection:
        expect(connection.info.transaction_status.name, "IDLE", "the status outside")
        fails("22012", lambda: connection.execute("SELECT 1 / 0"))
        expect(connection.info.transaction_status.name, "INERROR", "the status after an error")
        fails("25P02", lambda: connection.execute("SELECT 1"))
        connection.rollback()
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        expect(
            connection.execute("SHOW transaction_isolation").fetchone(),
            ("repeatable read",),
            "the level",
        )
        connection.rollback()
        fails("25006", lambda: connection.execute(insert, (first + 99, "read only")))
        connection.rollback()


@check("listen")
def check_listen():
    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        connection.execute("LISTEN matrix")
        other.execute("NOTIFY matrix, 'first'")
        other.execute("SELECT pg_notify(%s, %s)", ("matrix", "second"))
        got = [(n.channel, n.payload) for n in connection.notifies(timeout=10, stop_after=2)]
        expect(got, [("matrix", "first"), ("matrix", "second")], "notifications")
        # What a connection hears of itself it tells by the process id that it was given.
        connection.execute("NOTIFY matrix, 'own'")
        own = list(connection.notifies(timeout=10, stop_after=1))
        expect([n.payload for n in own], ["own"], "its own notification")
        connection.execute("UNLISTEN *")
        other.execute("NOTIFY matrix, 'late'")
        expect(list(connection.notifies(timeout=0.5)), [], "after UNLISTEN")


@check("errors")
def check_errors():
    with connect(autocommit=True) as connection:
        for key in SOME_KEYS:
            error = fails(
                "23505",
                lambda: connection.execute(
                    "INSERT INTO accounts (id, owner) VALUES (%s, 'twice')", (key,)
                ),
            )
            diag = error.diag
            expect(
                (
                    diag.severity_nonlocalized,
                    diag.schema_name,
                    diag.table_name,
                    diag.constraint_name,
                ),
                ("ERROR", "public", "accounts", "accounts_pkey"),
                "the fields of 23505",
            )
            expect(diag.message_detail, f"Key (id)=({key}) already exists.", "its detail")
        error = fails("42601", lambda: connection.execute("SELECT * FORM accounts"))
        expect(error.diag.statement_position, "10", "the position of the syntax error")
        fails("22P02", lambda: connection.execute("SELECT 'x'::integer"))
        fails("22P02", lambda: connection.execute("SELECT * FROM accounts WHERE id = %t", ("x",)))
        error = fails("42P01", lambda: connection.execute("SELECT * FROM nowhere"))
        expect(error.diag.statement_position, "15", "the position of the missing table")
        error = fails(
            "23502",
            lambda: connection.execute("INSERT INTO accounts (id) VALUES (%s)", (ERRORS_FIRST,)),
        )
        expect(
            (error.diag.table_name, error.diag.column_name),
            ("accounts", "owner"),
            "the fields of 23502",
        )
        error = fails(
            "23503",
            lambda: connection.execute(
                "INSERT INTO entries (account_id, amount) VALUES (%s, 1)", (ERRORS_FIRST,)
            ),
        )
        expect(error.diag.constraint_name, "entries_account_id_fkey", "the constraint of 23503")
        fails("23514", lambda: connection.execute("SELECT 0::posint"))
        expect(
            connection.execute("SELECT owner FROM accounts WHERE id = 1").fetchone(),
            ("owner 1",),
            "after them",
        )


@check("reconnect")
def check_reconnect():
    connection = connect(autocommit=True)
    end_by_server(connection)
    try:
        connection.execute("SELECT 1")
    except psycopg.Error as error:
        expect_true(error.sqlstate in ENDED_BY_SERVER, f"closed for another reason: {error!r}")
    else:
        raise AssertionError("the server did not close the connection")
    expect_true(connection.closed and connection.broken, "the driver knows that it is closed")
    with connect() as another:
        expect(
            another.execute("SELECT owner FROM accounts WHERE id = 9").fetchone(),
            ("owner 9",),
            "a new one",
        )
        expect(
            another.execute("SHOW idle_in_transaction_session_timeout").fetchone(),
            ("0",),
            "its settings",
        )


@check("large")
def check_large():
    text = "0123456789abcdef" * 65536
    with connect() as connection:
        connection.execute(
            "INSERT INTO accounts (id, owner, note) VALUES (%s, 'large', %s)", (LARGE_FIRST, text)
        )
        note = connection.execute(
            "SELECT note FROM accounts WHERE id = %s", (LARGE_FIRST,)
        ).fetchone()[0]
        expect_true(note == text, "the text of 1 MB")
        connection.rollback()
        with connection.cursor() as cursor:
            count = total = 0
            for (n,) in cursor.stream("SELECT n FROM generate_series(1, 100000) AS n"):
                count, total = count + 1, total + n
            expect((count, total), (100_000, 5_000_050_000), "100,000 rows, streamed")
            cursor.execute(
                "SELECT a.id, n FROM accounts a, generate_series(1, 100) n"
                f" WHERE a.id <= {ACCOUNTS} ORDER BY a.id, n"
            )
            rows = cursor.fetchall()
            expect(
                rows,
                [(id_, n) for id_ in range(1, ACCOUNTS + 1) for n in range(1, 101)],
                "100,000 rows of a scatter",
            )


run()
