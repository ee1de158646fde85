"""psycopg 3: values of every type, as text and in binary formats."""

import datetime
import decimal
import enum
import ipaddress
import uuid

from compat import *
from connections import connect
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Json, Jsonb
from psycopg.types.range import Range

UTC = datetime.timezone.utc


class Mood(enum.Enum):
    sad = "sad"
    ok = "ok"
    happy = "happy"


def known_values(connection):
    """Python's values of what compat.TEXTS writes, for the types psycopg has adapters of."""
    register_enum(EnumInfo.fetch(connection, "mood"), connection, Mood)
    info = CompositeInfo.fetch(connection, "comp")
    register_composite(info, connection)
    document = {"a": [1, 2.5, None], "b": "x"}
    at = datetime.datetime(2024, 2, 29, 12, 34, 56, 789012)
    january, february = (
        datetime.datetime(2024, 1, 1, tzinfo=UTC),
        datetime.datetime(2024, 2, 1, tzinfo=UTC),
    )
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
        "a_json": Json(document),
        "a_jsonb": Jsonb(document),
        "integers": [1, None, -3],
        "texts": ["plain", "with, comma", None, 'quote"d'],
        "an_inet": ipaddress.ip_interface("192.168.1.5/24"),
        "a_cidr": ipaddress.ip_network("10.0.0.0/8"),
        "an_int4range": Range(1, 10),
        "a_tstzrange": Range(january, february),
        "a_mood": Mood.happy,
        "a_posint": 7,
        "a_comp": info.python_type(3, 'a "b", c'),
    }


def round_trip(connection, values, placeholder, is_binary, first):
    """Stores the values and NULLs under keys of all placements, and reads them all back."""
    columns = ", ".join(values)
    marks = ", ".join([placeholder] * len(values))
    texts = ", ".join(f"{column}::text" for column in values)
    expected = tuple(unwrap(value) for value in values.values())
    with connection.cursor(binary=is_binary) as cursor:
        for key in range(first, first + 16):
            given = values.values() if (key - first) % 2 == 0 else [None] * len(values)
            cursor.execute(
                f"INSERT INTO every_type (id, {columns}) VALUES (%s, {marks})", (key, *given)
            )
        for key in range(first, first + 16):
            cursor.execute(f"SELECT {columns} FROM every_type WHERE id = %s", (key,))
            row = cursor.fetchone()
            for column, got, want in zip(values, row, expected, strict=True):
                expect(got, want if (key - first) % 2 == 0 else None, f"{column} of {key}")
        cursor.execute(f"SELECT {texts} FROM every_type WHERE id = %s", (first,))
        for column, got in zip(values, cursor.fetchone(), strict=True):
            expect(got, TEXTS[column], f"{column} as the server writes it")
        cursor.execute(
            f"SELECT {columns} FROM every_type WHERE id BETWEEN %s AND %s ORDER BY id",
            (first, first + 15),
        )
        rows = cursor.fetchall()
        expect(len(rows), 16, "rows of all placements")
        expect(rows[0::2], [expected] * 8, "the values of all placements")
        expect(rows[1::2], [(None,) * len(values)] * 8, "the NULLs of all placements")
    connection.commit()


def unwrap(value):
    return value.obj if isinstance(value, (Json, Jsonb)) else value


@check("types-text")
def check_types_text():
    with connect() as connection:
        values = known_values(connection)
        # Types that psycopg has no adapter of travel as the server writes them.
        written = {column: text for column, text in TEXTS.items() if column not in values}
        round_trip(connection, {**values, **written}, "%t", False, 1)


@check("types-binary")
def check_types_binary():
    with connect() as connection:
        round_trip(connection, known_values(connection), "%b", True, 101)
