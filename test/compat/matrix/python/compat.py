"""What the Python programs of the compatibility matrix share: checks and how they are told of.

A check is a function under the id it is known by. Each opens the connections it needs, so that
one which fails leaves nothing behind for the next. This module knows no driver.
"""

import asyncio
import decimal
import inspect
import json
import os
import signal
import sys
import traceback

HOST = os.environ["PGHOST"]
PORT = int(os.environ["PGPORT"])
USER = os.environ["PGUSER"]
PASSWORD = os.environ["PGPASSWORD"]
DATABASE = os.environ["PGDATABASE"]
CA_FILE = os.environ["PGSSLROOTCERT"]

ACCOUNTS = 1000
# A check that hangs is one that failed; those after it still have their time.
CHECK_SECONDS = 40

# Rows that a check writes begin here, each check in a range of its own: none finds another's.
PREPARED_FIRST = 10_000
PIPELINE_FIRST = 20_000
COPY_FIRST = 30_000
TRANSACTIONS_FIRST = 50_000
ERRORS_FIRST = 60_000
LARGE_FIRST = 70_000
EXTRA_FIRST = 80_000
COPY_ROWS = 5000

# 16 keys one after the other lie on all four placements.
SOME_KEYS = tuple(range(1, 17))

# Has the server close the connection. A temporary table is what a session has on one server alone.
END_BY_SERVER = (
    "SET idle_in_transaction_session_timeout = '100ms'",
    "BEGIN",
    "CREATE TEMPORARY TABLE of_this_session (n integer)",
)
END_BY_SERVER_SECONDS = 0.6
# idle_in_transaction_session_timeout, or admin_shutdown, as which a lost server ends a session.
ENDED_BY_SERVER = ("25P03", "57P01")

# How PostgreSQL writes what every program stores in every_type, in the time zone UTC.
TEXTS = {
    "a_boolean": "true",
    "a_smallint": "-32768",
    "an_integer": "2147483647",
    "a_bigint": "-9223372036854775808",
    "a_numeric": "12345678901234567890.0123456789",
    "a_real": "1.5",
    "a_double": "0.1",
    "a_text": "gr\u00fc\u00dfe, \u4e16\u754c \U0001f600 'quoted' \\ \"double\"\nline",
    "a_varchar": "varying",
    # The cast to text drops the blanks.
    "a_char": "fix",
    "a_bytea": "\\x0001feff275c",
    "a_date": "2024-02-29",
    "a_time": "23:59:59.123456",
    "a_timetz": "12:30:00+02",
    "a_timestamp": "2024-02-29 12:34:56.789012",
    "a_timestamptz": "2024-02-29 10:34:56.789012+00",
    "an_interval": "3 days 04:05:06.789",
    "a_uuid": "c8f1b7f0-3d6e-4f0b-9f43-6f5a9c1f2d3e",
    "a_json": '{"a": [1, 2.5, null], "b": "x"}',
    "a_jsonb": '{"a": [1, 2.5, null], "b": "x"}',
    "integers": "{1,NULL,-3}",
    "texts": '{plain,"with, comma",NULL,"quote\\"d"}',
    "an_inet": "192.168.1.5/24",
    "a_cidr": "10.0.0.0/8",
    "a_macaddr": "08:00:2b:01:02:03",
    "a_bit": "10101010",
    "a_varbit": "10111",
    "a_point": "(1.5,-2)",
    "an_int4range": "[1,10)",
    "a_tstzrange": '["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")',
    "an_xml": "<a><b>1</b></a>",
    "a_money": "$1,234.56",
    "a_mood": "happy",
    "a_posint": "7",
    "a_comp": '(3,"a ""b"", c")',
}

_checks = {}


class Absent(Exception):
    """The driver has no such feature; the message says so."""


def check(name):
    """Registers a function, or a coroutine function, as the check of that id."""

    def register(function):
        _checks[name] = function
        return function

    return register


def run():
    """Runs all checks in the order they are written, and prints one line of JSON for each."""
    only = set(sys.argv[1:])
    for name, function in _checks.items():
        if only and name not in only:
            continue
        result = {"check": name, **_outcome(function)}
        print(json.dumps(result), flush=True)


def expect(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: {_short(actual)}, expected {_short(expected)}")


def expect_true(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_error(error_class, sqlstate_of, sqlstate, action):
    """The error that an action ends with, which has to be of that class and SQLSTATE."""
    try:
        action()
    except error_class as error:
        expect(sqlstate_of(error), sqlstate, f"the SQLSTATE of {error!r}")
        return error
    raise AssertionError(f"no error, expected {sqlstate}")


async def expect_error_async(error_class, sqlstate_of, sqlstate, awaitable):
    try:
        await awaitable
    except error_class as error:
        expect(sqlstate_of(error), sqlstate, f"the SQLSTATE of {error!r}")
        return error
    raise AssertionError(f"no error, expected {sqlstate}")


def copied_rows():
    """What goes in by COPY and has to come out again: whatever COPY has to escape is in it."""
    notes = [
        None,
        "",
        "tab\tline\nback\\slash",
        "\\N",
        "\u00fc\u4e16\U0001f600",
        'quote " and, comma',
    ]
    return [
        (COPY_FIRST + n, f"copied {n}", decimal.Decimal(n).scaleb(-2), notes[n % len(notes)])
        for n in range(COPY_ROWS)
    ]


def _outcome(function):
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(CHECK_SECONDS)
    try:
        if inspect.iscoroutinefunction(function):
            asyncio.run(asyncio.wait_for(function(), CHECK_SECONDS - 1))
        else:
            function()
    except Absent as absent:
        return {"outcome": "absent", "detail": str(absent)}
    except Exception as error:  # Whatever a driver raises is how its check ended.
        traceback.print_exc()
        return {"outcome": "failed", "detail": f"{type(error).__name__}: {error}"[:500]}
    finally:
        signal.alarm(0)
    return {"outcome": "passed"}


def _too_late(_signal, _frame):
    raise TimeoutError(f"no end after {CHECK_SECONDS} s")


def _short(value):
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
