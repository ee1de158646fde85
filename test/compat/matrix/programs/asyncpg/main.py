"""asyncpg: the common checks, its type look-ups, its pool and its statement cache."""

import asyncio
import datetime
import decimal
import io
import ipaddress
import json
import uuid

import asyncpg
from compat import *

UTC = datetime.timezone.utc
COLUMNS = ["id", "owner", "balance", "note"]


class connect:
    """A connection, closed at the block's end; asyncpg reads the rest from the environment."""

    def __init__(self, **more):
        self._more = {"server_settings": {"timezone": "UTC", "application_name": "matrix"}, **more}

    async def __aenter__(self):
        self._connection = await asyncpg.connect(timeout=10, **self._more)
        return self._connection

    async def __aexit__(self, *_):
        if not self._connection.is_closed():
            await self._connection.close(timeout=5)


async def fails(sqlstate, awaitable):
    return await expect_error_async(
        asyncpg.PostgresError, lambda error: error.sqlstate, sqlstate, awaitable
    )


@check("connect")
async def check_connect():
    for more in ({}, {"direct_tls": True}):
        async with connect(**more) as connection:
            expect_true(connection._transport.get_extra_info("cipher") is not None, "no TLS")
            expect_true(connection.get_server_version().major >= 14, "the server's version")
            row = await connection.fetchrow(
                "SELECT current_user, current_database(), current_setting('application_name'),"
                " current_setting('server_version_num')::integer / 10000"
            )
            major = connection.get_server_version().major
            expect(tuple(row), (USER, DATABASE, "matrix", major), "who and where")
            expect(connection.get_settings().TimeZone, "UTC", "its parameter status")
    await fails("28P01", asyncpg.connect(password="not it", timeout=10))


def known_values():
    at = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
    january = datetime.datetime(2024, 1, 1, tzinfo=UTC)
    february = datetime.datetime(2024, 2, 1, tzinfo=UTC)
    return {
        "a_boolean": True,
        "a_smallint": -32768,
        "an_integer": 2147483647,
        "a_bigint": -9223372036854775808,
        "a_numeric": decimal.Decimal(TEXTS["a_numeric"]),
        "a_real": 1.5,
        "a_double": 0.1,
        "a_text": TEXTS["a_text"],
        "a_varchar": "varying",
        "a_char": "fix  ",
        "a_bytea": b"\x00\x01\xfe\xff'\\",
        "a_date": datetime.date(2024, 2, 29),
        "a_time": datetime.time(23, 59, 59, 123456),
        "a_timetz": datetime.time(12, 30, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        "a_timestamp": at,
        "a_timestamptz": (at - datetime.timedelta(hours=2)).replace(tzinfo=UTC),
        "an_interval": datetime.timedelta(days=3, hours=4, minutes=5, seconds=6, milliseconds=789),
        "a_uuid": uuid.UUID(TEXTS["a_uuid"]),
        "a_json": TEXTS["a_json"],
        "a_jsonb": TEXTS["a_jsonb"],
        "integers": [1, None, -3],
        "texts": ["plain", "with, comma", None, 'quote"d'],
        "an_inet": ipaddress.ip_interface("192.168.1.5/24"),
        "a_cidr": ipaddress.ip_network("10.0.0.0/8"),
        "a_macaddr": TEXTS["a_macaddr"],
        "a_bit": asyncpg.BitString("10101010"),
        "a_varbit": asyncpg.BitString("10111"),
        "a_point": asyncpg.Point(1.5, -2),
        "an_int4range": asyncpg.Range(1, 10),
        "a_tstzrange": asyncpg.Range(january, february),
        "an_xml": TEXTS["an_xml"],
        "a_money": TEXTS["a_money"],
        "a_mood": "happy",
        "a_posint": 7,
        "a_comp": (3, 'a "b", c'),
    }


async def round_trip(connection, values, first):
    """Stores the values and NULLs under keys of all placements, and reads them all back."""
    columns = ", ".join(values)
    marks = ", ".join(f"${n + 2}" for n in range(len(values)))
    insert = f"INSERT INTO every_type (id, {columns}) VALUES ($1, {marks})"
    expected = tuple(values.values())
    nulls = (None,) * len(values)
    for key in range(first, first + 16):
        await connection.execute(insert, key, *(nulls if (key - first) % 2 else expected))
    select = f"SELECT {columns} FROM every_type"
    for key in range(first, first + 16):
        row = await connection.fetchrow(f"{select} WHERE id = $1", key)
        wanted = nulls if (key - first) % 2 else expected
        for column, got, want in zip(values, row.values(), wanted, strict=True):
            expect(got, want, f"{column} of {key}")
    texts = ", ".join(f"{column}::text" for column in values)
    row = await connection.fetchrow(f"SELECT {texts} FROM every_type WHERE id = $1", first)
    for column, got in zip(values, row.values(), strict=True):
        expect(got, TEXTS[column], f"{column} as the server writes it")
    rows = await connection.fetch(
        f"{select} WHERE id BETWEEN $1 AND $2 ORDER BY id", first, first + 15
    )
    expect([tuple(row) for row in rows], [expected, nulls] * 8, "rows of all placements")


@check("types-text")
async def check_types_text():
    """asyncpg asks for a type's text where the application has set a codec of that format."""
    texts = {
        "a_smallint": "int2",
        "an_integer": "int4",
        "a_bigint": "int8",
        "a_numeric": "numeric",
        "a_real": "float4",
        "a_double": "float8",
        "a_date": "date",
        "a_time": "time",
        "a_timetz": "timetz",
        "a_timestamp": "timestamp",
        "a_timestamptz": "timestamptz",
        "an_interval": "interval",
        "a_uuid": "uuid",
        "a_json": "json",
        "a_jsonb": "jsonb",
        "an_inet": "inet",
        "a_cidr": "cidr",
        "a_macaddr": "macaddr",
        "a_bit": "bit",
        "a_varbit": "varbit",
        "a_point": "point",
        "an_xml": "xml",
    }
    async with connect() as connection:
        for type_name in texts.values():
            await connection.set_type_codec(
                type_name, schema="pg_catalog", encoder=str, decoder=str, format="text"
            )
        values = {column: TEXTS[column] for column in texts}
        # The key is a bigint, whose text is now the application's.
        columns = ", ".join(values)
        marks = ", ".join(f"${n + 2}" for n in range(len(values)))
        insert = f"INSERT INTO every_type (id, {columns}) VALUES ($1, {marks})"
        for key in SOME_KEYS:
            given = [None] * len(values) if key % 2 else values.values()
            await connection.execute(insert, str(key), *given)
        select = f"SELECT {columns} FROM every_type WHERE id = $1"
        for key in SOME_KEYS:
            row = await connection.fetchrow(select, str(key))
            for column, got in zip(values, row.values(), strict=True):
                expect(got, None if key % 2 else TEXTS[column], f"{column} of {key}")
        rows = await connection.fetch(f"SELECT id, {columns} FROM every_type ORDER BY id")
        expect([row["id"] for row in rows], [str(key) for key in SOME_KEYS], "keys in order")
        expect(tuple(rows[1].values())[1:], tuple(values.values()), "values of a scatter")


@check("types-binary")
async def check_types_binary():
    async with connect() as connection:
        await round_trip(connection, known_values(), 101)
        await connection.set_type_codec(
            "jsonb",
            schema="pg_catalog",
            format="binary",
            encoder=lambda value: b"\x01" + json.dumps(value).encode(),
            decoder=lambda data: json.loads(data[1:]),
        )
        row = await connection.fetchrow(
            "UPDATE every_type SET a_jsonb = $2 WHERE id = $1 RETURNING a_jsonb", 101, {"b": [1]}
        )
        expect(row["a_jsonb"], {"b": [1]}, "a codec of the application")


@check("prepared")
async def check_prepared():
    async with connect() as connection, connect() as other:
        statement = await connection.prepare("SELECT * FROM accounts WHERE id = $1")
        expect([str(p.name) for p in statement.get_parameters()], ["int8"], "its parameters")
        expect([a.name for a in statement.get_attributes()], COLUMNS, "its columns")
        for key in range(1, 21):
            row = await statement.fetchrow(key)
            expect(tuple(row), (key, f"owner {key}", decimal.Decimal("100.00"), None), f"row {key}")
        everything = "SELECT * FROM accounts WHERE id = $1"
        narrow = "SELECT id, owner FROM accounts WHERE id = $1"
        for query in (everything, narrow):
            await connection.fetchrow(query, 1)
        await other.execute("ALTER TABLE accounts ADD COLUMN added integer DEFAULT 5")
        try:
            for key in range(21, 41):
                row = await connection.fetchrow(everything, key)
                expect((row["owner"], row["added"]), (f"owner {key}", 5), "with the new column")
                row = await connection.fetchrow(narrow, key)
                expect(tuple(row), (key, f"owner {key}"), "without the new column")
        finally:
            await other.execute("ALTER TABLE accounts DROP COLUMN added")
        for key in range(41, 61):
            row = await connection.fetchrow(everything, key)
            expect(list(row.keys()), COLUMNS, "the columns after it is gone")
        insert = await connection.prepare("INSERT INTO accounts (id, owner) VALUES ($1, $2)")
        for key in range(20):
            await insert.fetch(PREPARED_FIRST + key, "prepared")
            expect(insert.get_statusmsg(), "INSERT 0 1", "the command's tag")


@check("pipeline")
async def check_pipeline():
    """executemany sends Bind and Execute for all its arguments without waiting, then one Sync."""
    insert = "INSERT INTO accounts (id, owner) VALUES ($1, $2)"
    first = PIPELINE_FIRST
    count = "SELECT count(*) FROM accounts WHERE id >= $1 AND id < $1 + 1000"
    async with connect() as connection:
        await connection.executemany(insert, [(first + n, f"many {n}") for n in range(500)])
        expect(await connection.fetchval(count, first), 500, "rows of executemany")
        rows = [(first + 500 + n, "") for n in range(10)] + [(first, "again"), (first + 600, "")]
        await fails("23505", connection.executemany(insert, rows))
        expect(await connection.fetchval(count, first), 500, "none of what failed is there")
        balances = await connection.fetchmany(
            "UPDATE accounts SET balance = $2 WHERE id = $1 RETURNING id, balance",
            [(first + n, decimal.Decimal(n)) for n in range(100)],
        )
        expect(
            [tuple(row) for row in balances],
            [(first + n, decimal.Decimal(n)) for n in range(100)],
            "rows of many statements",
        )


@check("copy")
async def check_copy():
    rows = copied_rows()
    where = f"WHERE id >= {COPY_FIRST} AND id < {COPY_FIRST + COPY_ROWS}"
    async with connect() as connection:
        status = await connection.copy_records_to_table("accounts", records=rows, columns=COLUMNS)
        expect(status, f"COPY {COPY_ROWS}", "the command's tag")
        got = await connection.fetch(f"SELECT * FROM accounts {where} ORDER BY id")
        expect([tuple(row) for row in got], rows, "what is there")
        output = io.BytesIO()
        await connection.copy_from_query(
            f"SELECT * FROM accounts {where} AND id < $1 ORDER BY id",
            COPY_FIRST + 100_000,
            output=output,
            format="csv",
            header=True,
        )
        csv = output.getvalue()
        table = io.BytesIO()
        await connection.copy_from_table(
            "accounts", columns=["id", "owner"], output=table, format="csv"
        )
        expect(
            len(table.getvalue().splitlines()),
            await connection.fetchval("SELECT count(*) FROM accounts"),
            "lines of the table",
        )
        await connection.execute(f"DELETE FROM accounts {where}")
        status = await connection.copy_to_table(
            "accounts", source=io.BytesIO(csv), format="csv", header=True
        )
        expect(status, f"COPY {COPY_ROWS}", "the way back in")
        got = await connection.fetch(f"SELECT * FROM accounts {where} ORDER BY id")
        expect([tuple(row) for row in got], rows, "what is there again")
        twice = connection.copy_records_to_table("accounts", records=rows[:3], columns=COLUMNS)
        error = await fails("23505", twice)
        expect(error.constraint_name, "accounts_pkey", "the constraint")
        await connection.execute(f"DELETE FROM accounts {where}")


@check("cursor")
async def check_cursor():
    query = "SELECT id, owner FROM accounts WHERE id <= $1 ORDER BY id"
    async with connect() as connection, connection.transaction():
        ids = [row["id"] async for row in connection.cursor(query, ACCOUNTS, prefetch=150)]
        expect(ids, list(range(1, ACCOUNTS + 1)), "iterated, 150 at a time")
        cursor = await connection.cursor(query, ACCOUNTS)
        expect([tuple(row) for row in await cursor.fetch(2)], [(1, "owner 1"), (2, "owner 2")], "")
        expect([row["id"] for row in await cursor.fetch(100)], list(range(3, 103)), "rows after")
        other = await connection.cursor("SELECT code FROM kinds ORDER BY code")
        expect((await other.fetchrow())["code"], "credit", "a second cursor between them")
        expect([row["id"] for row in await cursor.fetch(5)], [103, 104, 105, 106, 107], "on")


@check("cancel")
async def check_cancel():
    async with connect() as connection:
        for sql in (
            "SELECT pg_sleep(20)",
            "SELECT count(*) FROM accounts WHERE pg_sleep(id * 0.1) IS NOT NULL",
        ):
            task = asyncio.create_task(connection.fetch(sql))
            await asyncio.sleep(0.5)
            task.cancel()
            try:
                await task
                raise AssertionError("not cancelled")
            except asyncio.CancelledError:
                pass
            expect(await connection.fetchval("SELECT 1"), 1, "the connection goes on")
        try:
            await connection.fetch("SELECT pg_sleep(20)", timeout=0.5)
            raise AssertionError("no timeout")
        except TimeoutError:
            pass
        expect(await connection.fetchval("SELECT 2"), 2, "after a timeout of the client's")
        await connection.execute("SET statement_timeout = '200ms'")
        await fails("57014", connection.fetch("SELECT pg_sleep(20)"))
        await connection.execute("RESET statement_timeout")


@check("transactions")
async def check_transactions():
    first = TRANSACTIONS_FIRST
    insert = "INSERT INTO accounts (id, owner) VALUES ($1, $2)"

    async def present(connection):
        rows = await connection.fetch(
            "SELECT id FROM accounts WHERE id >= $1 AND id < $1 + 1000 ORDER BY id", first
        )
        return [row["id"] - first for row in rows]

    async with connect() as connection, connect() as other:
        async with connection.transaction():
            for key in range(16):
                await connection.execute(insert, first + key, "committed")
            expect(await present(other), [], "before the commit")
        expect(await present(other), list(range(16)), "after the commit")
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("DELETE FROM accounts WHERE id >= $1 AND id < $1 + 1000", first)
        expect(await present(connection), [], "within the transaction")
        await transaction.rollback()
        expect(await present(other), list(range(16)), "after the rollback")
        async with connection.transaction():
            await connection.execute(insert, first + 20, "outer")
            try:
                async with connection.transaction():
                    for key in range(30, 46):
                        await connection.execute(insert, first + key, "inner")
                    await connection.execute(insert, first, "there already")
            except asyncpg.UniqueViolationError:
                pass
            expect(await present(connection), [*range(16), 20], "after rollback to a savepoint")
        expect(await present(other), [*range(16), 20], "after the outer commit")
        transaction = connection.transaction()
        await transaction.start()
        await fails("22012", connection.execute("SELECT 1 / 0"))
        await fails("25P02", connection.execute("SELECT 1"))
        await transaction.rollback()
        for isolation in ("repeatable_read", "serializable"):
            transaction = connection.transaction(isolation=isolation)
            await transaction.start()
            before = await connection.fetchval("SELECT balance FROM accounts WHERE id = 1")
            await other.execute("UPDATE accounts SET balance = balance + 1 WHERE id = 1")
            again = await connection.fetchval("SELECT balance FROM accounts WHERE id = 1")
            expect(again, before, f"what a transaction of {isolation} reads twice")
            update = "UPDATE accounts SET balance = balance + 1 WHERE id = 1"
            await fails("40001", connection.execute(update))
            await transaction.rollback()
        transaction = connection.transaction(readonly=True)
        await transaction.start()
        await fails("25006", connection.execute(insert, first + 99, "read only"))
        await transaction.rollback()


@check("listen")
async def check_listen():
    async with connect() as connection, connect() as other:
        heard = asyncio.Queue()

        def on_notification(_connection, _pid, channel, payload):
            heard.put_nowait((channel, payload))

        await connection.add_listener("matrix", on_notification)
        await other.execute("SELECT pg_notify($1, $2)", "matrix", "first")
        await other.execute("NOTIFY matrix, 'second'")
        for payload in ("first", "second"):
            got = await asyncio.wait_for(heard.get(), 10)
            expect(got, ("matrix", payload), "a notification")
        await connection.remove_listener("matrix", on_notification)
        await other.execute("NOTIFY matrix, 'late'")
        await asyncio.sleep(0.5)
        expect(heard.empty(), True, "nothing is heard any more")


@check("errors")
async def check_errors():
    async with connect() as connection:
        for key in SOME_KEYS:
            error = await fails(
                "23505",
                connection.execute("INSERT INTO accounts (id, owner) VALUES ($1, 'twice')", key),
            )
            expect(
                (error.schema_name, error.table_name, error.constraint_name, error.detail),
                ("public", "accounts", "accounts_pkey", f"Key (id)=({key}) already exists."),
                "the fields of 23505",
            )
        error = await fails("42601", connection.fetch("SELECT * FORM accounts"))
        expect(error.position, "10", "the position of the syntax error")
        await fails("22P02", connection.execute("SELECT 'x'::integer"))
        error = await fails(
            "42703", connection.fetch("SELECT nothing FROM accounts WHERE id = $1", 1)
        )
        expect(error.position, "8", "the position of the unknown column")
        await fails("22003", connection.fetch("SELECT $1::integer * 2", 2147483647))
        row = await connection.fetchrow("SELECT owner FROM accounts WHERE id = 1")
        expect(row["owner"], "owner 1", "after them")


@check("reconnect")
async def check_reconnect():
    async with connect() as connection:
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _connection: ended.set())
        for statement in END_BY_SERVER:
            await connection.execute(statement)
        await asyncio.sleep(END_BY_SERVER_SECONDS)
        try:
            await connection.fetch("SELECT 1")
            raise AssertionError("the server did not close the connection")
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            pass
        await asyncio.wait_for(ended.wait(), 5)
        expect(connection.is_closed(), True, "the driver knows that it is closed")
    async with connect() as another:
        owner = await another.fetchval("SELECT owner FROM accounts WHERE id = 9")
        expect(owner, "owner 9", "a new one")


@check("large")
async def check_large():
    text = "0123456789abcdef" * 65536
    async with connect() as connection:
        await connection.execute(
            "INSERT INTO accounts (id, owner, note) VALUES ($1, 'large', $2)", LARGE_FIRST, text
        )
        note = await connection.fetchval("SELECT note FROM accounts WHERE id = $1", LARGE_FIRST)
        expect_true(note == text, "the text of 1 MB")
        await connection.execute("DELETE FROM accounts WHERE id = $1", LARGE_FIRST)
        count = total = 0
        async with connection.transaction():
            async for row in connection.cursor(
                "SELECT n FROM generate_series(1, 100000) AS n", prefetch=1000
            ):
                count, total = count + 1, total + row["n"]
        expect((count, total), (100_000, 5_000_050_000), "100,000 rows, 1,000 at a time")
        rows = await connection.fetch(
            "SELECT id, n FROM accounts, generate_series(1, 100) AS n WHERE id <= $1"
            " ORDER BY id, n",
            ACCOUNTS,
        )
        expected = [(key, n) for key in range(1, ACCOUNTS + 1) for n in range(1, 101)]
        expect([tuple(row) for row in rows], expected, "100,000 rows of a scatter")


@check("introspection")
async def check_introspection():
    async with connect() as connection:
        row = await connection.fetchrow(
            "SELECT ARRAY[(1, 'a')::comp, NULL] AS comps, ARRAY['ok', 'sad']::mood[] AS moods,"
            " ARRAY[1, 2]::posint[] AS ints,"
            " int4multirange(int4range(1, 3), int4range(5, 7)) AS ranges"
        )
        expect(
            (row["comps"], row["moods"], row["ints"], row["ranges"]),
            (
                [(1, "a"), None],
                ["ok", "sad"],
                [1, 2],
                [asyncpg.Range(1, 3), asyncpg.Range(5, 7)],
            ),
            "values of types that had to be looked up",
        )
        await connection.execute("CREATE TYPE level AS ENUM ('low', 'high')")
        value = await connection.fetchval("SELECT $1::level[]", ["low", "high"])
        expect(value, ["low", "high"], "a type made just now")
        await connection.reload_schema_state()
        await connection.execute("DROP TYPE level")


@check("pool")
async def check_pool():
    async def work(pool, number):
        async with pool.acquire() as connection:
            zone = await connection.fetchval("SELECT current_setting('TimeZone')")
            expect(zone, "UTC", "the zone that the pool's connections were opened with")
            work_mem = await connection.fetchval("SHOW work_mem")
            expect_true(work_mem != "7MB", "a setting of who had it before")
            await connection.execute("SET TimeZone = 'Asia/Tokyo'; SET work_mem = '7MB'")
            await connection.execute("LISTEN pooled")
            await connection.fetchval("SELECT pg_advisory_lock_shared($1)", number)
            async with connection.transaction():
                owner = await connection.fetchval(
                    "SELECT owner FROM accounts WHERE id = $1", number
                )
            expect(owner, f"owner {number}", "its own row")

    pool = await asyncpg.create_pool(
        min_size=2, max_size=4, server_settings={"timezone": "UTC"}, timeout=10
    )
    async with pool:
        await asyncio.gather(*(work(pool, number) for number in range(1, 31)))
        locks = await pool.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        expect(locks, 0, "locks that are left")
        await pool.execute("SELECT 1")
        await pool.expire_connections()
        expect(await pool.fetchval("SELECT owner FROM accounts WHERE id = 1"), "owner 1", "anew")


@check("statement-cache")
async def check_statement_cache():
    for size in (3, 0):
        async with connect(statement_cache_size=size) as connection:
            for _ in range(2):
                for n in range(10):
                    row = await connection.fetchrow(
                        f"SELECT id + {n} FROM accounts WHERE id = $1", n + 1
                    )
                    expect(row[0], 2 * n + 1, f"with a cache of {size}")


run()
