"""psqlODBC through pyodbc: the common checks, and settings that change what the driver sends."""

import datetime
import decimal
import os
import threading
import time
import uuid

import pyodbc
from compat import *

DRIVERS = (
    "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so",
    "/usr/lib/aarch64-linux-gnu/odbc/psqlodbcw.so",
    "/usr/lib64/psqlodbcw.so",
)


def connect(autocommit=False, password=PASSWORD, **settings):
    """The certificate is the environment's, which libpq below the driver reads."""
    words = {
        "DRIVER": next(file for file in DRIVERS if os.path.exists(file)),
        "SERVER": HOST,
        "PORT": PORT,
        "UID": USER,
        "PWD": password,
        "DATABASE": DATABASE,
        "SSLmode": "verify-full",
        "ConnSettings": "SET TimeZone = 'UTC'",
        "UseServerSidePrepare": 1,
        # Or a text longer than this is read as a stream, and a boolean as a text.
        "MaxVarcharSize": 8000,
        "BoolsAsChar": 0,
        **settings,
    }
    text = ";".join(f"{name}={value}" for name, value in words.items())
    return pyodbc.connect(text, autocommit=autocommit)


def rows(connection, sql, *values):
    cursor = connection.execute(sql, *values)
    return [tuple(row) for row in cursor.fetchall()] if cursor.description else None


def fails(sqlstate, action):
    """The driver tells the server's SQLSTATE, but where ODBC has one of its own."""
    return expect_error(pyodbc.Error, lambda error: error.args[0], sqlstate, action)


@check("connect")
def check_connect():
    connection = connect()
    [row] = rows(
        connection,
        "SELECT current_user::text, current_database()::text, current_setting('TimeZone'),"
        " current_setting('server_version_num')::integer",
    )
    expect(row[:3], (USER, DATABASE, "UTC"), "who and where")
    version = connection.getinfo(pyodbc.SQL_DBMS_VER)
    expect(int(version.split(".")[0]), row[3] // 10000, "the server's version")
    connection.close()
    # The driver's state is ODBC's own for a start-up that failed.
    error = fails("08001", lambda: connect(password="not it"))
    expect_true("password authentication failed" in str(error), f"another reason: {error}")


def known_values():
    at = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
    written = (
        "a_text a_varchar a_json a_jsonb an_inet a_cidr a_macaddr a_varbit a_bit a_point"
        " an_int4range a_tstzrange an_xml a_mood a_comp integers texts an_interval a_timetz"
    )
    return {
        "a_boolean": True,
        "a_smallint": -32768,
        "an_integer": 2147483647,
        "a_bigint": -9223372036854775808,
        "a_real": 1.5,
        "a_double": 0.1,
        "a_char": "fix  ",
        "a_bytea": b"\x00\x01\xfe\xff'\\",
        "a_date": datetime.date(2024, 2, 29),
        # ODBC's time has no fractions.
        "a_time": datetime.time(23, 59, 59),
        "a_timestamp": at,
        "a_uuid": uuid.UUID(TEXTS["a_uuid"]),
        "a_posint": 7,
        **{column: TEXTS[column] for column in written.split()},
    }


@check("types-text")
def check_types_text():
    connection = connect()
    values = {**known_values(), "a_numeric": decimal.Decimal(TEXTS["a_numeric"])}
    # What ODBC has no type for is given and read as text.
    types = {
        "a_json": "json",
        "a_jsonb": "jsonb",
        "an_inet": "inet",
        "a_cidr": "cidr",
        "a_macaddr": "macaddr",
        "a_varbit": "varbit",
        "a_bit": "bit(8)",
        "a_point": "point",
        "an_int4range": "int4range",
        "a_tstzrange": "tstzrange",
        "an_xml": "xml",
        "a_mood": "mood",
        "a_comp": "comp",
        "integers": "integer[]",
        "texts": "text[]",
        "an_interval": "interval",
        "a_timetz": "timetz",
    }
    columns = ", ".join(values)
    marks = ", ".join(f"?::text::{types[c]}" if c in types else "?" for c in values)
    read = ", ".join(f"{c}::text" if c in types else c for c in values)
    for key in SOME_KEYS:
        given = [None] * len(values) if key % 2 else list(values.values())
        connection.execute(
            f"INSERT INTO every_type (id, {columns}) VALUES (?, {marks})", key, *given
        )
    nulls = (None,) * len(values)
    for key in SOME_KEYS:
        [row] = rows(connection, f"SELECT {read} FROM every_type WHERE id = ?", key)
        expected = nulls if key % 2 else tuple(values.values())
        for column, got, want in zip(values, row, expected, strict=True):
            got = uuid.UUID(got) if column == "a_uuid" and got is not None else got
            expect(got, want, f"{column} of {key}")
    got = rows(connection, f"SELECT id, {read} FROM every_type ORDER BY id")
    expect([row[0] for row in got], list(SOME_KEYS), "rows of all placements")
    connection.commit()
    connection.close()


@check("types-binary")
def check_types_binary():
    raise Absent("psqlODBC reads results as text alone")


@check("prepared")
def check_prepared():
    connection, other = connect(autocommit=True), connect(autocommit=True)
    cursor = connection.cursor()
    query = "SELECT id, owner FROM accounts WHERE id = ?"

    def read_all(keys):
        for key in keys:
            # pyodbc keeps the statement prepared while its text is the same.
            row = cursor.execute(query, key).fetchone()
            expect(tuple(row), (key, f"owner {key}"), f"account {key}")

    read_all(range(1, 21))
    other.execute("ALTER TABLE accounts ADD COLUMN added integer DEFAULT 5")
    read_all(range(21, 41))
    other.execute("ALTER TABLE accounts DROP COLUMN added")
    read_all(range(41, 61))
    connection.close()
    other.close()


@check("pipeline")
def check_pipeline():
    connection = connect()
    cursor = connection.cursor()
    for is_fast in (False, True):
        cursor.fast_executemany = is_fast
        values = [(PIPELINE_FIRST + n, f"batch {n}") for n in range(200)]
        cursor.executemany("INSERT INTO accounts (id, owner) VALUES (?, ?)", values)
        got = rows(
            connection,
            "SELECT id, owner FROM accounts WHERE id BETWEEN ? AND ? ORDER BY id",
            PIPELINE_FIRST,
            PIPELINE_FIRST + 999,
        )
        expect(got, values, "rows of executemany")
        connection.rollback()
    connection.close()


@check("copy")
def check_copy():
    raise Absent("ODBC has no COPY")


@check("cursor")
def check_cursor():
    connection = connect(UseDeclareFetch=1, Fetch=100)
    cursor = connection.execute("SELECT id FROM accounts WHERE id <= ? ORDER BY id", ACCOUNTS)
    expect([row[0] for row in cursor.fetchmany(3)], [1, 2, 3], "the first rows")
    other = connection.execute("SELECT owner FROM accounts WHERE id = 7")
    expect(other.fetchone()[0], "owner 7", "another statement between them")
    expect([row[0] for row in cursor], list(range(4, ACCOUNTS + 1)), "the rest, in order")
    connection.commit()
    connection.close()


@check("cancel")
def check_cancel():
    connection = connect(autocommit=True)
    for sql in (
        "SELECT pg_sleep(20)",
        "SELECT count(*) FROM accounts WHERE pg_sleep(id * 0.1) IS NOT NULL",
    ):
        cursor = connection.cursor()
        timer = threading.Timer(0.5, cursor.cancel)
        timer.start()
        began = time.monotonic()
        try:
            cursor.execute(sql)
            raise AssertionError("not cancelled")
        except pyodbc.Error as error:
            expect_true("canceling statement" in str(error), f"another reason: {error}")
        expect_true(time.monotonic() - began < 10, "the cancel came late")
        timer.join()
        expect(rows(connection, "SELECT 1"), [(1,)], "the connection goes on")
    connection.close()


@check("transactions")
def check_transactions():
    first = TRANSACTIONS_FIRST
    insert = "INSERT INTO accounts (id, owner) VALUES (?, ?)"

    def present(connection):
        found = rows(
            connection,
            "SELECT id FROM accounts WHERE id BETWEEN ? AND ? ORDER BY id",
            first,
            first + 999,
        )
        return [row[0] - first for row in found]

    # Without savepoints of the driver's: an error fails the transaction.
    connection, other = connect(Protocol="7.4-0"), connect(autocommit=True)
    for key in range(16):
        connection.execute(insert, first + key, "committed")
    expect(present(other), [], "before the commit")
    connection.commit()
    expect(present(other), list(range(16)), "after the commit")
    connection.execute("DELETE FROM accounts WHERE id BETWEEN ? AND ?", first, first + 999)
    expect(present(connection), [], "within the transaction")
    connection.rollback()
    expect(present(other), list(range(16)), "after the rollback")
    connection.execute(insert, first + 20, "outer")
    connection.execute("SAVEPOINT inner_one")
    for key in range(30, 46):
        connection.execute(insert, first + key, "inner")
    connection.execute("ROLLBACK TO SAVEPOINT inner_one")
    connection.commit()
    expect(present(other), [*range(16), 20], "after the rollback to a savepoint")
    fails("23505", lambda: connection.execute(insert, first, "there already"))
    fails("25P02", lambda: connection.execute("SELECT 1"))
    connection.rollback()
    expect(rows(connection, "SELECT 1"), [(1,)], "after the rollback of what failed")
    connection.close()
    other.close()


@check("listen")
def check_listen():
    raise Absent("ODBC has no notifications")


@check("errors")
def check_errors():
    connection = connect(autocommit=True)
    for key in SOME_KEYS:
        insert = "INSERT INTO accounts (id, owner) VALUES (?, 'twice')"
        error = fails("23505", lambda: connection.execute(insert, key))  # noqa: B023
        expect_true(f"Key (id)=({key}) already exists." in str(error), f"no detail: {error}")
    fails("42601", lambda: connection.execute("SELECT * FORM accounts"))
    fails("22P02", lambda: connection.execute("SELECT * FROM accounts WHERE id = 'x'"))
    expect(rows(connection, "SELECT owner FROM accounts WHERE id = 1"), [("owner 1",)], "after")
    connection.close()


@check("reconnect")
def check_reconnect():
    connection = connect(autocommit=True)
    for statement in END_BY_SERVER:
        connection.execute(statement)
    time.sleep(END_BY_SERVER_SECONDS)
    try:
        connection.execute("SELECT 1")
        raise AssertionError("the server did not close the connection")
    except pyodbc.Error:
        pass
    another = connect()
    expect(rows(another, "SELECT owner FROM accounts WHERE id = 9"), [("owner 9",)], "a new one")
    another.close()


@check("large")
def check_large():
    connection = connect(MaxVarcharSize=2_000_000, MaxLongVarcharSize=2_000_000)
    text = "0123456789abcdef" * 65536
    connection.execute(
        "INSERT INTO accounts (id, owner, note) VALUES (?, 'large', ?)", LARGE_FIRST, text
    )
    [(note,)] = rows(connection, "SELECT note FROM accounts WHERE id = ?", LARGE_FIRST)
    expect_true(note == text, "the text of 1 MB")
    connection.rollback()
    connection.close()
    connection = connect(UseDeclareFetch=1, Fetch=1000)
    cursor = connection.execute("SELECT n FROM generate_series(1, 100000) AS n")
    expect([row[0] for row in cursor], list(range(1, 100_001)), "100,000 rows, 1,000 at a time")
    connection.close()


@check("declare-fetch")
def check_declare_fetch():
    connection = connect(UseDeclareFetch=1, Fetch=50)
    for sql, expected in (
        ("SELECT id FROM accounts WHERE id <= 200 ORDER BY id DESC", list(range(200, 0, -1))),
        ("SELECT code FROM kinds ORDER BY code", ["credit", "debit"]),
        ("SELECT count(*) FROM accounts WHERE id <= 1000", [1000]),
        ("SELECT id FROM accounts WHERE id = 5", [5]),
    ):
        expect([row[0] for row in rows(connection, sql)], expected, sql)
    # An updated row is seen by the next SELECT, and a cursor's error ends the transaction alone.
    connection.execute("UPDATE accounts SET note = 'seen' WHERE id = 5")
    expect(rows(connection, "SELECT note FROM accounts WHERE id = 5"), [("seen",)], "its own")
    connection.rollback()
    fails("42P01", lambda: rows(connection, "SELECT * FROM nowhere"))
    connection.rollback()
    expect(rows(connection, "SELECT id FROM accounts WHERE id = 6"), [(6,)], "after an error")
    connection.close()


@check("client-prepares")
def check_client_prepares():
    connection = connect(UseServerSidePrepare=0)
    for key in SOME_KEYS:
        got = rows(
            connection, "SELECT owner FROM accounts WHERE id = ? AND owner <> ?", key, "it's"
        )
        expect(got, [(f"owner {key}",)], f"account {key}")
    connection.close()


@check("statement-rollback")
def check_statement_rollback():
    for use_cursors in (0, 1):
        connection = connect(Protocol="7.4-2", UseDeclareFetch=use_cursors)
        insert = "INSERT INTO accounts (id, owner) VALUES (?, 'kept')"
        for key in range(16):
            connection.execute(insert, EXTRA_FIRST + key)
            fails("23505", lambda: connection.execute(insert, EXTRA_FIRST))  # noqa: B023
        [(count,)] = rows(connection, "SELECT count(*) FROM accounts WHERE id >= ?", EXTRA_FIRST)
        expect(count, 16, "what was done around the errors")
        connection.rollback()
        connection.close()


@check("catalog")
def check_catalog():
    connection = connect()
    cursor = connection.cursor()
    names = {row.table_name for row in cursor.tables(schema="public", tableType="TABLE")}
    expect_true({"accounts", "entries", "every_type", "kinds"} <= names, f"tables: {names}")
    columns = [
        (row.column_name, row.type_name, row.nullable)
        for row in cursor.columns(table="accounts", schema="public")
    ]
    expected = [
        ("id", "int8", 0),
        ("owner", "text", 0),
        ("balance", "numeric", 0),
        ("note", "text", 1),
    ]
    expect(columns, expected, "columns")
    keys = [row.column_name for row in cursor.primaryKeys("entries", schema="public")]
    expect(keys, ["account_id", "id"], "a key")
    foreign = [
        (row.pktable_name, row.pkcolumn_name, row.fkcolumn_name)
        for row in cursor.foreignKeys(foreignTable="entries", foreignSchema="public")
    ]
    expect(foreign, [("accounts", "id", "account_id")], "a foreign key")
    indexes = {row.index_name for row in cursor.statistics("accounts", schema="public")}
    expect_true("accounts_pkey" in indexes, f"indexes: {indexes}")
    types = {row.type_name for row in cursor.getTypeInfo()}
    expect_true({"int4", "text", "timestamp without time zone"} & types, f"types: {types}")
    connection.close()


run()
