"""psycopg 3: what it is known for, beyond the common checks."""

import asyncio
import decimal
import threading

import psycopg
import psycopg_pool
from compat import *
from connections import connect, end_by_server, fails


@check("server-cursor")
def check_server_cursor():
    with connect() as connection:
        query = "SELECT id FROM accounts WHERE id <= %s ORDER BY id"
        with connection.cursor("scrolled", scrollable=True) as cursor:
            cursor.execute(query, (ACCOUNTS,))
            expect([row[0] for row in cursor.fetchmany(10)], list(range(1, 11)), "forward")
            cursor.scroll(-5)
            expect(cursor.fetchone(), (6,), "after going back 5")
            cursor.scroll(900, mode="absolute")
            expect(
                [row[0] for row in cursor.fetchall()], list(range(901, 1001)), "after going to 900"
            )
        held = connection.cursor("held", withhold=True)
        held.execute(query, (ACCOUNTS,))
        connection.commit()
        expect([row[0] for row in held.fetchall()], list(range(1, 1001)), "held over a commit")
        held.close()
        connection.commit()
        with connection.cursor("one") as cursor:
            cursor.execute(
                "SELECT id, balance, owner FROM accounts WHERE id = %s", (7,), binary=True
            )
            expect(
                cursor.fetchall(),
                [(7, decimal.Decimal("100.00"), "owner 7")],
                "in binary, of one placement",
            )


@check("binary-cursor")
def check_binary_cursor():
    with connect() as connection, connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            "SELECT id, owner, balance FROM accounts WHERE id = ANY(%s) ORDER BY id",
            (list(SOME_KEYS),),
        ).fetchall()
        expect(
            rows,
            [(key, f"owner {key}", decimal.Decimal("100.00")) for key in SOME_KEYS],
            "rows in binary",
        )
        row = cursor.execute(
            "SELECT count(*), sum(balance), avg(balance), min(owner), max(id),"
            " bool_and(balance > 0)"
            " FROM accounts WHERE id <= %s",
            (ACCOUNTS,),
        ).fetchone()
        expect(
            row,
            (ACCOUNTS, decimal.Decimal(100_000), decimal.Decimal(100), "owner 1", ACCOUNTS, True),
            "aggregates in binary",
        )


@check("executemany")
def check_executemany():
    keys = [EXTRA_FIRST + n for n in range(200)]
    with connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO accounts (id, owner) VALUES (%s, %s)",
            [(key, f"many {key}") for key in keys],
        )
        expect(cursor.rowcount, len(keys), "rows inserted")
        cursor.executemany(
            "UPDATE accounts SET balance = %s WHERE id = %s RETURNING id, balance",
            [(decimal.Decimal(key), key) for key in keys],
            returning=True,
        )
        returned = []
        for result in cursor.results():
            returned.extend(result.fetchall())
        expect(returned, [(key, decimal.Decimal(key)) for key in keys], "what was returned")
        fails(
            "23505",
            lambda: cursor.executemany(
                "INSERT INTO accounts (id, owner) VALUES (%s, '')", [(keys[0] + 500,), (1,)]
            ),
        )
        connection.rollback()
        expect(
            connection.execute(
                "SELECT count(*) FROM accounts WHERE id >= %s", (EXTRA_FIRST,)
            ).fetchone(),
            (0,),
            "after",
        )


@check("client-cursor")
def check_client_cursor():
    """Values merged into the text by the client; several statements at once."""
    with connect(cursor_factory=psycopg.ClientCursor, autocommit=True) as connection:
        cursor = connection.execute("SELECT owner FROM accounts WHERE id = %s", (11,))
        expect(cursor.fetchone(), ("owner 11",), "a value in the text")
        cursor = connection.execute(
            "SELECT owner FROM accounts WHERE id = %s;"
            " SELECT count(*) FROM accounts WHERE id <= %s",
            (12, ACCOUNTS),
        )
        expect(cursor.fetchall(), [("owner 12",)], "the first result")
        expect_true(cursor.nextset(), "there is a second result")
        expect(cursor.fetchall(), [(ACCOUNTS,)], "the second result")


@check("pool")
def check_pool():
    pool = psycopg_pool.ConnectionPool(
        kwargs={"options": "-c TimeZone=UTC"},
        min_size=2,
        max_size=4,
        check=psycopg_pool.ConnectionPool.check_connection,
        open=True,
    )
    with pool:
        pool.wait(10)
        with pool.connection() as connection:
            expect(
                connection.execute("SELECT owner FROM accounts WHERE id = 3").fetchone(),
                ("owner 3",),
                "pooled",
            )
        try:
            with pool.connection() as connection:
                connection.autocommit = True
                end_by_server(connection)
        except psycopg.Error as error:
            expect_true(error.sqlstate in ENDED_BY_SERVER, f"ended otherwise: {error!r}")
        for _ in range(6):
            with pool.connection() as connection:
                expect(
                    connection.execute("SELECT owner FROM accounts WHERE id = 4").fetchone(),
                    ("owner 4",),
                    "replaced",
                )
        errors = []

        def work(number):
            try:
                for key in range(1, 26):
                    with pool.connection() as connection:
                        row = connection.execute(
                            "SELECT owner FROM accounts WHERE id = %s", (key * number,)
                        ).fetchone()
                        expect(row, (f"owner {key * number}",), "of a thread")
            except Exception as error:  # Told by the thread that waits for this one.
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(errors, [], "errors of threads")


@check("asyncio")
async def check_asyncio():
    async with await psycopg.AsyncConnection.connect(
        options="-c TimeZone=UTC", autocommit=True
    ) as connection:
        async with connection.pipeline():
            cursors = [
                await connection.execute("SELECT owner FROM accounts WHERE id = %s", (key,))
                for key in SOME_KEYS
            ]
            rows = [await cursor.fetchone() for cursor in cursors]
        expect(rows, [(f"owner {key}",) for key in SOME_KEYS], "a pipeline's answers")
        async with connection.transaction():
            async with connection.cursor("scattered") as cursor:
                await cursor.execute(
                    "SELECT id FROM accounts WHERE id <= %s ORDER BY id", (ACCOUNTS,)
                )
                expect(
                    [row[0] async for row in cursor],
                    list(range(1, ACCOUNTS + 1)),
                    "a server cursor's rows",
                )
        # A task that is cancelled cancels its statement on the server.
        task = asyncio.create_task(connection.execute("SELECT pg_sleep(20)"))
        await asyncio.sleep(0.5)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        row = await (await connection.execute("SELECT owner FROM accounts WHERE id = 2")).fetchone()
        expect(row, ("owner 2",), "after a cancelled task")
        await connection.execute("LISTEN asynchronous")
        async with await psycopg.AsyncConnection.connect(autocommit=True) as other:
            await other.execute("NOTIFY asynchronous, 'heard'")
        got = [n.payload async for n in connection.notifies(timeout=10, stop_after=1)]
        expect(got, ["heard"], "a notification")
        async with connection.cursor() as cursor, connection.transaction(force_rollback=True):
            async with cursor.copy("COPY accounts (id, owner) FROM STDIN") as copy:
                for key in SOME_KEYS:
                    await copy.write_row((EXTRA_FIRST + key, "copied"))
            await cursor.execute("SELECT count(*) FROM accounts WHERE owner = 'copied'")
            expect(await cursor.fetchone(), (16,), "rows copied in")
