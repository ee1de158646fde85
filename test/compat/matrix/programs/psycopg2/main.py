"""psycopg2: the common checks, named cursors, execute_values and its pool."""

import datetime
import decimal
import io
import ipaddress
import select
import threading
import time
import uuid

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool
from compat import *

UTC = datetime.UTC
READ_PIECE_BYTES = 8192


def connect(autocommit=False, **more):
    """libpq reads the rest from the environment; the options travel in the start-up packet."""
    connection = psycopg2.connect(options="-c TimeZone=UTC", **more)
    connection.autocommit = autocommit
    return connection


def query(connection, sql, values=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else None


def fails(sqlstate, action):
    return expect_error(psycopg2.Error, lambda error: error.pgcode, sqlstate, action)


@check("connect")
def check_connect():
    connection = connect(application_name="matrix")
    expect_true(connection.info.ssl_in_use, "TLS is not in use")
    [(user, database, name, version)] = query(
        connection,
        "SELECT current_user, current_database(), current_setting('application_name'),"
        " current_setting('server_version_num')::integer",
    )
    expect((user, database, name), (USER, DATABASE, "matrix"), "who and where")
    expect(version, connection.server_version, "the server's version")
    expect(connection.get_parameter_status("TimeZone"), "UTC", "its parameter status")
    connection.close()
    # libpq tells no SQLSTATE of a failed start-up, only the server's message.
    try:
        connect(password="not it")
    except psycopg2.OperationalError as error:
        expect_true("password authentication failed" in str(error), f"another reason: {error}")
    else:
        raise AssertionError("connected with a wrong password")


def known_values(connection):
    psycopg2.extras.register_uuid()
    psycopg2.extras.register_ipaddress(connection)
    comp = psycopg2.extras.register_composite("comp", connection)
    at = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
    january = datetime.datetime(2024, 1, 1, tzinfo=UTC)
    february = datetime.datetime(2024, 2, 1, tzinfo=UTC)
    document = {"a": [1, 2.5, None], "b": "x"}
    return {
        **TEXTS,
        "a_boolean": True,
        "a_smallint": -32768,
        "an_integer": 2147483647,
        "a_bigint": -9223372036854775808,
        "a_numeric": decimal.Decimal(TEXTS["a_numeric"]),
        "a_real": 1.5,
        "a_double": 0.1,
        "a_char": "fix  ",
        "a_bytea": b"\x00\x01\xfe\xff'\\",
        "a_date": datetime.date(2024, 2, 29),
        "a_time": datetime.time(23, 59, 59, 123456),
        "a_timetz": datetime.time(12, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        "a_timestamp": at,
        "a_timestamptz": (at - datetime.timedelta(hours=2)).replace(tzinfo=UTC),
        "an_interval": datetime.timedelta(days=3, hours=4, minutes=5, seconds=6, milliseconds=789),
        "a_uuid": uuid.UUID(TEXTS["a_uuid"]),
        "a_json": psycopg2.extras.Json(document),
        "a_jsonb": psycopg2.extras.Json(document),
        "integers": [1, None, -3],
        "texts": ["plain", "with, comma", None, 'quote"d'],
        "an_inet": ipaddress.ip_interface("192.168.1.5/24"),
        "a_cidr": ipaddress.ip_network("10.0.0.0/8"),
        "an_int4range": psycopg2.extras.NumericRange(1, 10),
        "a_tstzrange": psycopg2.extras.DateTimeTZRange(january, february),
        "a_posint": 7,
        "a_comp": comp.type(3, 'a "b", c'),
    }


@check("types-text")
def check_types_text():
    connection = connect()
    values = known_values(connection)
    columns = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    for key in SOME_KEYS:
        given = [None] * len(values) if key % 2 else values.values()
        query(
            connection,
            f"INSERT INTO every_type (id, {columns}) VALUES (%s, {marks})",
            (key, *given),
        )
    read = {**values, "a_json": values["a_json"].adapted, "a_jsonb": values["a_jsonb"].adapted}
    rows = comparable(query(connection, f"SELECT {columns} FROM every_type ORDER BY id"))
    for column, got in zip(values, rows[1], strict=True):
        expect(got, read[column], column)
    expected = [(None,) * len(values), tuple(read.values())]
    expect(rows, expected * 8, "rows of all placements")
    for key in SOME_KEYS:
        got = query(connection, f"SELECT {columns} FROM every_type WHERE id = %s", (key,))
        expect(comparable(got), [expected[(key + 1) % 2]], f"the row of {key}")
    texts = ", ".join(f"{column}::text" for column in values)
    [row] = query(connection, f"SELECT {texts} FROM every_type WHERE id = 2")
    for column, got in zip(values, row, strict=True):
        expect(got, TEXTS[column], f"{column} as the server writes it")
    connection.close()


def comparable(rows):
    """A bytea is read as a memoryview."""
    return [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in rows]


@check("types-binary")
def check_types_binary():
    raise Absent("psycopg2 reads and writes text alone")


@check("prepared")
def check_prepared():
    """psycopg2 has no call for it; its users write PREPARE and EXECUTE."""
    connection, other = connect(autocommit=True), connect(autocommit=True)
    query(
        connection,
        "PREPARE read_one (bigint) AS SELECT id, owner FROM accounts WHERE id = $1",
    )

    def read_all(keys):
        for key in keys:
            rows = query(connection, "EXECUTE read_one (%s)", (key,))
            expect(rows, [(key, f"owner {key}")], f"account {key}")

    read_all(range(1, 21))
    query(other, "ALTER TABLE accounts ADD COLUMN added integer DEFAULT 5")
    read_all(range(21, 41))
    query(other, "ALTER TABLE accounts DROP COLUMN added")
    read_all(range(41, 61))
    query(connection, "DEALLOCATE read_one")
    fails("26000", lambda: query(connection, "EXECUTE read_one (1)"))
    connection.close()
    other.close()


@check("pipeline")
def check_pipeline():
    """Without pipelines, several statements of one text are the batch that psycopg2 has."""
    connection = connect(autocommit=True)
    with connection.cursor() as cursor:
        psycopg2.extras.execute_batch(
            cursor,
            "INSERT INTO accounts (id, owner) VALUES (%s, %s)",
            [(PIPELINE_FIRST + n, f"batch {n}") for n in range(250)],
            page_size=100,
        )
        count = "SELECT count(*) FROM accounts WHERE id >= %s AND id < %s"
        bounds = (PIPELINE_FIRST, PIPELINE_FIRST + 1000)
        expect(query(connection, count, bounds), [(250,)], "rows of batches")
        rows = [(PIPELINE_FIRST + 300, ""), (PIPELINE_FIRST, "again"), (PIPELINE_FIRST + 301, "")]
        insert = "INSERT INTO accounts (id, owner) VALUES (%s, %s)"
        fails("23505", lambda: psycopg2.extras.execute_batch(cursor, insert, rows))
        # Several statements of one text are one implicit transaction.
        expect(query(connection, count, bounds), [(250,)], "none of what failed is there")
    connection.close()


@check("copy")
def check_copy():
    connection = connect()
    rows = copied_rows()
    where = f"WHERE id >= {COPY_FIRST} AND id < {COPY_FIRST + COPY_ROWS}"
    selected = f"SELECT id, owner, balance, note FROM accounts {where} ORDER BY id"
    file = io.StringIO()
    for id_, owner, balance, note in rows:
        file.write(f"{id_}\t{owner}\t{balance}\t{copy_text(note)}\n")
    with connection.cursor() as cursor:
        file.seek(0)
        cursor.copy_from(file, "accounts", columns=("id", "owner", "balance", "note"))
        expect(cursor.rowcount, COPY_ROWS, "rows copied in")
        expect(query(connection, selected), rows, "what is there")
        for options in (
            "",
            "WITH (FORMAT csv, HEADER)",
            "WITH (FORMAT binary)",
        ):
            output = io.BytesIO()
            cursor.copy_expert(f"COPY ({selected}) TO STDOUT {options}", output)
            cursor.execute(f"DELETE FROM accounts {where}")
            output.seek(0)
            cursor.copy_expert(
                f"COPY accounts (id, owner, balance, note) FROM STDIN {options}",
                output,
                size=READ_PIECE_BYTES,
            )
            expect(cursor.rowcount, COPY_ROWS, f"rows copied in again {options}")
            expect(query(connection, selected), rows, f"what is there again {options}")
        table = io.StringIO()
        cursor.copy_to(table, "accounts", columns=("id", "owner"))
        ids = sorted(int(line.split("\t")[0]) for line in table.getvalue().splitlines())
        copied = [id_ for id_ in ids if id_ >= COPY_FIRST]
        expect(copied, [row[0] for row in rows], "the table copied out")
    connection.rollback()
    expect(query(connection, f"SELECT count(*) FROM accounts {where}"), [(0,)], "after rollback")
    connection.close()


def copy_text(value):
    if value is None:
        return "\\N"
    for character, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n")):
        value = value.replace(character, written)
    return value


@check("cursor")
def check_cursor():
    connection = connect()
    with connection.cursor("scattered") as cursor:
        cursor.itersize = 150
        cursor.execute("SELECT id, owner FROM accounts WHERE id <= %s ORDER BY id", (ACCOUNTS,))
        expect(cursor.fetchmany(2), [(1, "owner 1"), (2, "owner 2")], "the first rows")
        expect([row[0] for row in cursor], list(range(3, ACCOUNTS + 1)), "the rest, in order")
    expect(query(connection, "SELECT owner FROM accounts WHERE id = 5"), [("owner 5",)], "after")
    connection.close()


@check("cancel")
def check_cancel():
    connection = connect(autocommit=True)
    for sql in (
        "SELECT pg_sleep(20)",
        "SELECT count(*) FROM accounts WHERE pg_sleep(id * 0.1) IS NOT NULL",
    ):
        timer = threading.Timer(0.5, connection.cancel)
        timer.start()
        began = time.monotonic()
        fails("57014", lambda: query(connection, sql))  # noqa: B023
        expect_true(time.monotonic() - began < 10, "the cancel came late")
        timer.join()
        expect(query(connection, "SELECT 1"), [(1,)], "the connection goes on")
    connection.close()


@check("transactions")
def check_transactions():
    first = TRANSACTIONS_FIRST
    insert = "INSERT INTO accounts (id, owner) VALUES (%s, %s)"

    def present(connection):
        rows = query(
            connection,
            "SELECT id FROM accounts WHERE id >= %s AND id < %s ORDER BY id",
            (first, first + 1000),
        )
        return [row[0] - first for row in rows]

    connection, other = connect(), connect(autocommit=True)
    with connection:
        for key in range(16):
            query(connection, insert, (first + key, "committed"))
        expect(present(other), [], "before the commit")
    expect(present(other), list(range(16)), "after the commit")
    query(connection, "DELETE FROM accounts WHERE id >= %s AND id < %s", (first, first + 1000))
    expect(present(connection), [], "within the transaction")
    connection.rollback()
    expect(present(other), list(range(16)), "after the rollback")
    query(connection, insert, (first + 20, "outer"))
    query(connection, "SAVEPOINT inner_one")
    for key in range(30, 46):
        query(connection, insert, (first + key, "inner"))
    fails("23505", lambda: query(connection, insert, (first, "there already")))
    fails("25P02", lambda: query(connection, "SELECT 1"))
    expect(
        connection.info.transaction_status,
        psycopg2.extensions.TRANSACTION_STATUS_INERROR,
        "the status after an error",
    )
    query(connection, "ROLLBACK TO SAVEPOINT inner_one")
    expect(present(connection), [*range(16), 20], "after the rollback to a savepoint")
    connection.commit()
    expect(present(other), [*range(16), 20], "after the outer commit")
    connection.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
    expect(query(connection, "SELECT 1"), [(1,)], "a transaction of all modes")
    connection.rollback()
    connection.set_session(isolation_level="READ COMMITTED", readonly=True, deferrable=False)
    fails("25006", lambda: query(connection, insert, (first + 99, "read only")))
    connection.close()
    other.close()


@check("listen")
def check_listen():
    connection, other = connect(autocommit=True), connect(autocommit=True)
    query(connection, "LISTEN matrix")
    query(other, "NOTIFY matrix, 'first'")
    query(other, "SELECT pg_notify(%s, %s)", ("matrix", "second"))
    deadline = time.monotonic() + 10
    while len(connection.notifies) < 2 and time.monotonic() < deadline:
        select.select([connection], [], [], 0.2)
        connection.poll()
    got = [(notify.channel, notify.payload) for notify in connection.notifies]
    expect(got, [("matrix", "first"), ("matrix", "second")], "notifications")
    connection.close()
    other.close()


@check("errors")
def check_errors():
    connection = connect(autocommit=True)
    for key in SOME_KEYS:
        error = fails(
            "23505",
            lambda: query(
                connection,
                "INSERT INTO accounts (id, owner) VALUES (%s, 'twice')",
                (key,),  # noqa: B023
            ),
        )
        diag = error.diag
        expect(
            (diag.schema_name, diag.table_name, diag.constraint_name, diag.message_detail),
            ("public", "accounts", "accounts_pkey", f"Key (id)=({key}) already exists."),
            "the fields of 23505",
        )
    error = fails("42601", lambda: query(connection, "SELECT * FORM accounts"))
    expect(error.diag.statement_position, "10", "the position of the syntax error")
    fails("22P02", lambda: query(connection, "SELECT * FROM accounts WHERE id = 'x'"))
    expect(query(connection, "SELECT owner FROM accounts WHERE id = 1"), [("owner 1",)], "after")
    query(connection, "DROP TABLE IF EXISTS nowhere")
    expect(
        [notice.strip() for notice in connection.notices],
        ['NOTICE:  table "nowhere" does not exist, skipping'],
        "a notice",
    )
    connection.close()


@check("reconnect")
def check_reconnect():
    connection = connect(autocommit=True)
    for statement in END_BY_SERVER:
        query(connection, statement)
    time.sleep(END_BY_SERVER_SECONDS)
    try:
        query(connection, "SELECT 1")
        raise AssertionError("the server did not close the connection")
    except psycopg2.Error as error:
        expect_true(error.pgcode in (*ENDED_BY_SERVER, None), f"another reason: {error!r}")
    expect_true(connection.closed != 0, "the driver knows that it is closed")
    another = connect()
    expect(query(another, "SELECT owner FROM accounts WHERE id = 9"), [("owner 9",)], "a new one")
    another.close()


@check("large")
def check_large():
    connection = connect()
    text = "0123456789abcdef" * 65536
    query(
        connection,
        "INSERT INTO accounts (id, owner, note) VALUES (%s, 'large', %s)",
        (LARGE_FIRST, text),
    )
    [(note,)] = query(connection, "SELECT note FROM accounts WHERE id = %s", (LARGE_FIRST,))
    expect_true(note == text, "the text of 1 MB")
    connection.rollback()
    with connection.cursor("streamed") as cursor:
        cursor.itersize = 5000
        cursor.execute("SELECT n FROM generate_series(1, 100000) AS n")
        expect([row[0] for row in cursor], list(range(1, 100_001)), "100,000 rows, 5,000 at a time")
    rows = query(
        connection,
        "SELECT id, n FROM accounts, generate_series(1, 100) AS n WHERE id <= %s ORDER BY id, n",
        (ACCOUNTS,),
    )
    expected = [(key, n) for key in range(1, ACCOUNTS + 1) for n in range(1, 101)]
    expect(rows, expected, "100,000 rows of a scatter")
    connection.close()


@check("named-cursor")
def check_named_cursor():
    connection = connect()
    with connection.cursor("scrolled", scrollable=True) as cursor:
        cursor.execute("SELECT id FROM accounts WHERE id <= %s ORDER BY id", (ACCOUNTS,))
        expect([row[0] for row in cursor.fetchmany(10)], list(range(1, 11)), "forward")
        cursor.scroll(-5)
        expect(cursor.fetchone(), (6,), "after going back 5")
        cursor.scroll(900, mode="absolute")
        expect([row[0] for row in cursor.fetchall()], list(range(901, 1001)), "from 900")
    held = connection.cursor("held", withhold=True)
    held.execute("SELECT id FROM accounts WHERE id <= %s ORDER BY id", (ACCOUNTS,))
    connection.commit()
    expect([row[0] for row in held.fetchall()], list(range(1, 1001)), "held over a commit")
    held.close()
    connection.close()


@check("execute-values")
def check_execute_values():
    connection = connect()
    rows = [(EXTRA_FIRST + n, f"values {n}", decimal.Decimal(n)) for n in range(1000)]
    with connection.cursor() as cursor:
        returned = psycopg2.extras.execute_values(
            cursor,
            "INSERT INTO accounts (id, owner, balance) VALUES %s RETURNING id, owner, balance",
            rows,
            page_size=250,
            fetch=True,
        )
        expect(sorted(returned), rows, "rows returned")
        psycopg2.extras.execute_values(
            cursor,
            "INSERT INTO accounts (id, owner) VALUES %s"
            " ON CONFLICT (id) DO UPDATE SET owner = excluded.owner || ' again'",
            [row[:2] for row in rows[:500]],
        )
        cursor.execute(
            "SELECT count(*) FROM accounts WHERE id >= %s AND owner LIKE '%% again'",
            (EXTRA_FIRST,),
        )
        expect(cursor.fetchall(), [(500,)], "rows that were there already")
        cursor.execute(
            "SELECT owner FROM accounts WHERE id = ANY(%s) ORDER BY id",
            ([row[0] for row in rows[600:620]],),
        )
        expect([row[0] for row in cursor], [row[1] for row in rows[600:620]], "by a list of keys")
    connection.rollback()
    connection.close()


@check("pool")
def check_pool():
    pool = psycopg2.pool.ThreadedConnectionPool(2, 8, options="-c TimeZone=UTC")
    errors = []

    def work(number):
        try:
            for key in range(1, 16):
                connection = pool.getconn()
                expect(query(connection, "SHOW TimeZone"), [("UTC",)], "the zone")
                query(connection, "SET TimeZone = 'Asia/Tokyo'")
                rows = query(
                    connection, "SELECT owner FROM accounts WHERE id = %s", (key * number,)
                )
                expect(rows, [(f"owner {key * number}",)], "its own row")
                pool.putconn(connection)
        except Exception as error:  # Told by the thread that waits for this one.
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.closeall()
    expect(errors, [], "errors of threads")


run()
