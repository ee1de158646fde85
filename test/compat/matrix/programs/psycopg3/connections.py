"""How this program's checks connect, and what they expect of errors."""

import time

import psycopg
from compat import *


def connect(**more):
    """libpq reads the rest from the environment; the options travel in the start-up packet."""
    return psycopg.connect(options="-c TimeZone=UTC", **more)


def sqlstate_of(error):
    return error.sqlstate


def fails(sqlstate, action):
    return expect_error(psycopg.Error, sqlstate_of, sqlstate, action)


def end_by_server(connection):
    for statement in END_BY_SERVER:
        connection.execute(statement)
    time.sleep(END_BY_SERVER_SECONDS)
