"""SQLAlchemy 2 over psycopg 3: sessions, Core, reflection, DDL, streams, asyncio."""

import datetime
import decimal
import time

import sqlalchemy as sa
from compat import *
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

URL = sa.URL.create("postgresql+psycopg", USER, PASSWORD, HOST, PORT, DATABASE)
ENGINE = sa.create_engine(URL, connect_args={"options": "-c TimeZone=UTC"}, pool_size=3)
HUNDRED = decimal.Decimal("100.00")


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    owner: Mapped[str]
    balance: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(12, 2), server_default="0")
    note: Mapped[str | None]
    entries: Mapped[list["Entry"]] = relationship(
        back_populates="account", cascade="all, delete-orphan", order_by="Entry.id"
    )


class Entry(Base):
    __tablename__ = "entries"
    account_id: Mapped[int] = mapped_column(sa.ForeignKey("accounts.id"), primary_key=True)
    id: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), primary_key=True)
    amount: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(12, 2))
    at: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.func.now()
    )
    account: Mapped[Account] = relationship(back_populates="entries")


class Kind(Base):
    __tablename__ = "kinds"
    code: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str | None]


def fails(sqlstate, action):
    return expect_error(sa.exc.DBAPIError, lambda error: error.orig.sqlstate, sqlstate, action)


@check("connect")
def check_connect():
    with ENGINE.connect() as connection:
        row = connection.execute(sa.text("SELECT current_user, current_database()")).one()
        expect(tuple(row), (USER, DATABASE), "who and where")
        expect_true(connection.dialect.server_version_info >= (14,), "the server's version")
        expect(connection.dialect.default_schema_name, "public", "the default schema")
        expect(connection.get_isolation_level(), "READ COMMITTED", "the isolation level")
        expect_true(connection.connection.driver_connection.pgconn.ssl_in_use, "no TLS")
    wrong = sa.create_engine(URL.set(password="not it"))
    try:
        wrong.connect()
        raise AssertionError("connected with a wrong password")
    except sa.exc.OperationalError as error:
        expect_true("password authentication failed" in str(error), f"another reason: {error}")


@check("transactions")
def check_transactions():
    first = TRANSACTIONS_FIRST

    def present(connection):
        ids = sa.select(Account.id).where(Account.id >= first, Account.id < first + 1000)
        return [id_ - first for id_ in connection.scalars(ids.order_by(Account.id))]

    with Session(ENGINE) as session, ENGINE.connect() as other:
        other = other.execution_options(isolation_level="AUTOCOMMIT")
        session.add_all([Account(id=first + n, owner="committed") for n in range(16)])
        session.flush()
        expect(present(other), [], "before the commit")
        session.commit()
        expect(present(other), list(range(16)), "after the commit")
        session.execute(sa.delete(Account).where(Account.id >= first, Account.id < first + 1000))
        expect(present(session), [], "within the transaction")
        session.rollback()
        session.add(Account(id=first + 20, owner="outer"))
        try:
            with session.begin_nested():
                session.add_all([Account(id=first + n, owner="inner") for n in range(30, 46)])
                session.flush()
                session.execute(sa.insert(Account).values(id=first, owner="there already"))
        except sa.exc.IntegrityError:
            pass
        with session.begin_nested():
            session.add(Account(id=first + 21, owner="inner"))
        session.commit()
        expect(present(other), [*range(16), 20, 21], "after savepoints and the commit")
    with ENGINE.connect() as connection:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        balance = sa.select(Account.balance).where(Account.id == 1)
        expect(connection.scalar(balance), HUNDRED, "at repeatable read")
        with ENGINE.begin() as other:
            other.execute(sa.update(Account).where(Account.id == 1).values(balance=101))
        expect(connection.scalar(balance), HUNDRED, "the same again")
        update = sa.update(Account).where(Account.id == 1).values(balance=Account.balance + 1)
        fails("40001", lambda: connection.execute(update))
        connection.rollback()
    with ENGINE.begin() as connection:
        connection.execute(sa.update(Account).where(Account.id == 1).values(balance=100))


@check("errors")
def check_errors():
    with ENGINE.connect() as connection:
        for key in SOME_KEYS:
            insert = sa.insert(Account).values(id=key, owner="twice")
            error = fails("23505", lambda: connection.execute(insert))  # noqa: B023
            expect_true(isinstance(error, sa.exc.IntegrityError), "an IntegrityError")
            expect(error.orig.diag.constraint_name, "accounts_pkey", "the constraint")
            fails("25P02", lambda: connection.execute(sa.text("SELECT 1")))
            connection.rollback()
        error = fails("42601", lambda: connection.execute(sa.text("SELECT * FORM accounts")))
        expect_true(isinstance(error, sa.exc.ProgrammingError), "a ProgrammingError")
        connection.rollback()
        fails("22P02", lambda: connection.execute(sa.text("SELECT 'x'::integer")))
        connection.rollback()
        expect(connection.scalar(sa.select(Account.owner).filter_by(id=1)), "owner 1", "after")


@check("reconnect")
def check_reconnect():
    engine = sa.create_engine(URL, pool_size=1, max_overflow=0, pool_pre_ping=True)
    with engine.connect() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        for statement in END_BY_SERVER:
            autocommit.execute(sa.text(statement))
        time.sleep(END_BY_SERVER_SECONDS)
        try:
            connection.execute(sa.text("SELECT 1"))
            raise AssertionError("the server did not close the connection")
        except sa.exc.DBAPIError as error:
            expect_true(error.connection_invalidated, "the driver knows that it is closed")
    with engine.connect() as connection:
        expect(connection.scalar(sa.select(Account.owner).filter_by(id=9)), "owner 9", "a new one")
    engine.dispose()


@check("orm")
def check_orm():
    with Session(ENGINE) as session:
        for n in range(20):
            account = Account(id=EXTRA_FIRST + n, owner=f"orm {n}", balance=n)
            account.entries = [Entry(amount=decimal.Decimal(m)) for m in range(1, 4)]
            session.add(account)
        session.commit()
        mine = sa.select(Account).where(Account.id.between(EXTRA_FIRST, EXTRA_FIRST + 999))
        for option in (joinedload(Account.entries), selectinload(Account.entries)):
            session.expire_all()
            loaded = session.scalars(mine.order_by(Account.id).options(option)).unique().all()
            expect([a.owner for a in loaded], [f"orm {n}" for n in range(20)], "accounts")
            for account in loaded:
                amounts = [int(entry.amount) for entry in account.entries]
                expect(amounts, [1, 2, 3], "the entries of an account")
                expect_true(account.entries[0].at.tzinfo is not None, "a default of the server")
        session.expire_all()
        account = session.get(Account, EXTRA_FIRST + 7)
        expect(account.balance, decimal.Decimal("7.00"), "by its key")
        expect(len(account.entries), 3, "loaded when asked for")
        account.note = "changed"
        account.entries.pop()
        session.commit()
        session.refresh(account)
        expect((account.note, len(account.entries)), ("changed", 2), "the unit of work")
        locked = session.scalars(mine.where(Account.id == EXTRA_FIRST).with_for_update()).one()
        session.delete(locked)
        session.commit()
        expect(session.get(Account, EXTRA_FIRST), None, "deleted, with its entries")
        orphans = sa.select(sa.func.count()).where(Entry.account_id == EXTRA_FIRST)
        expect(session.scalar(orphans), 0, "entries of what is deleted")
        bulk = [{"id": EXTRA_FIRST + 100 + n, "owner": f"bulk {n}"} for n in range(2000)]
        session.execute(sa.insert(Account), bulk)
        session.execute(
            sa.update(Account), [{"id": row["id"], "note": row["owner"]} for row in bulk[:50]]
        )
        count = sa.select(sa.func.count()).where(Account.note.like("bulk %"))
        expect(session.scalar(count), 50, "rows updated by their keys")
        session.rollback()


@check("core")
def check_core():
    insert = postgresql.insert(Account)
    with ENGINE.connect() as connection:
        rows = [{"id": EXTRA_FIRST + 5000 + n, "owner": f"core {n}"} for n in range(300)]
        returned = connection.execute(
            sa.insert(Account).returning(Account.id, Account.balance, sort_by_parameter_order=True),
            rows,
        ).all()
        expect([tuple(row) for row in returned], [(row["id"], 0) for row in rows], "rows in order")
        upsert = insert.on_conflict_do_update(
            index_elements=[Account.id], set_={"note": insert.excluded.owner}
        )
        connection.execute(upsert, rows[:10])
        notes = sa.select(Account.note).where(Account.id.in_([row["id"] for row in rows]))
        noted = connection.scalars(notes.where(Account.note.is_not(None))).all()
        expect(sorted(noted), sorted(row["owner"] for row in rows[:10]), "what was there already")
        tenth = (Account.id % 10).label("tenth")
        groups = connection.execute(
            sa.select(tenth, sa.func.count(), sa.func.sum(Account.balance))
            .where(Account.id <= ACCOUNTS)
            .group_by(tenth)
            .having(sa.func.count() > 1)
            .order_by(tenth)
        ).all()
        expect([tuple(r) for r in groups], [(n, 100, HUNDRED * 100) for n in range(10)], "groups")
        page = sa.select(Account.id).where(Account.id <= ACCOUNTS).order_by(Account.id.desc())
        expect(connection.scalars(page.limit(3).offset(10)).all(), [990, 989, 988], "a page")
        joined = (
            sa.select(Account.owner, Kind.label)
            .join(Kind, sa.true())
            .where(Account.id == 3)
            .order_by(Kind.code)
        )
        expect(
            [tuple(row) for row in connection.execute(joined)],
            [("owner 3", "Money in"), ("owner 3", "Money out")],
            "joined with a reference table",
        )
        exists = sa.exists().where(Entry.account_id == Account.id)
        none = sa.select(sa.func.count()).select_from(Account).where(Account.id <= 10, exists)
        expect(connection.scalar(none), 0, "EXISTS of a colocated table")
        connection.rollback()


@check("reflection")
def check_reflection():
    inspector = sa.inspect(ENGINE)
    names = inspector.get_table_names()
    for name in ("accounts", "entries", "every_type", "kinds"):
        expect_true(name in names, f"no table {name} among {names}")
    columns = {column["name"]: column for column in inspector.get_columns("every_type")}
    expect(len(columns), 36, "columns of every_type")
    expect(columns["a_varchar"]["type"].length, 20, "the length of a varchar")
    expect(columns["a_mood"]["type"].enums, ["sad", "ok", "happy"], "an enum's labels")
    expect(str(columns["a_posint"]["type"].data_type), "INTEGER", "a domain's type")
    expect(str(columns["integers"]["type"].item_type), "INTEGER", "an array's type")
    expect(inspector.get_pk_constraint("entries")["constrained_columns"], ["account_id", "id"], "")
    [key] = inspector.get_foreign_keys("entries")
    expect(
        (key["referred_table"], key["constrained_columns"], key["referred_columns"]),
        ("accounts", ["account_id"], ["id"]),
        "a foreign key",
    )
    [identity] = [c["identity"] for c in inspector.get_columns("entries") if c["name"] == "id"]
    expect(identity["always"], False, "an identity column")
    expect(inspector.get_indexes("accounts"), [], "indexes besides the key's")
    expect([enum["name"] for enum in inspector.get_enums()], ["mood"], "enums")
    expect([domain["name"] for domain in inspector.get_domains()], ["posint"], "domains")
    expect_true("public" in inspector.get_schema_names(), "schemas")
    metadata = sa.MetaData()
    metadata.reflect(ENGINE)
    accounts = metadata.tables["accounts"]
    with ENGINE.connect() as connection:
        row = connection.execute(sa.select(accounts).where(accounts.c.id == 5)).one()
        expect(tuple(row), (5, "owner 5", HUNDRED, None), "read by a reflected table")


@check("ddl")
def check_ddl():
    metadata = sa.MetaData()
    level = sa.Enum("low", "high", name="level", metadata=metadata)
    parent = sa.Table(
        "projects",
        metadata,
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, unique=True, comment="What it is called"),
        sa.Column("level", level, server_default="low"),
        sa.Column("tags", postgresql.ARRAY(sa.Text)),
        sa.Column("settings", postgresql.JSONB, index=True),
        comment="Projects",
    )
    child = sa.Table(
        "tasks",
        metadata,
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("project_id", sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True),
        sa.Column("title", sa.Text, sa.CheckConstraint("title <> ''", name="has_title")),
    )
    metadata.create_all(ENGINE)
    metadata.create_all(ENGINE)
    with ENGINE.begin() as connection:
        value = {"name": "one", "tags": ["a", "b"], "settings": {"on": True, "n": [1]}}
        id_ = connection.execute(sa.insert(parent).returning(parent.c.id), value).scalar_one()
        connection.execute(sa.insert(child), [{"project_id": id_, "title": t} for t in "xyz"])
        on = sa.select(parent.c.tags, parent.c.level).where(
            parent.c.settings["on"].as_boolean(), parent.c.tags.contains(["a"])
        )
        expect(tuple(connection.execute(on).one()), (["a", "b"], "low"), "by JSON and array")
        connection.execute(sa.delete(parent))
        expect(connection.scalar(sa.select(sa.func.count()).select_from(child)), 0, "cascaded")
    inspector = sa.inspect(ENGINE)
    expect(inspector.get_table_comment("projects")["text"], "Projects", "a comment")
    indexes = [index["name"] for index in inspector.get_indexes("tasks")]
    expect(indexes, ["ix_tasks_project_id"], "an index")
    metadata.drop_all(ENGINE)
    expect_true(not sa.inspect(ENGINE).has_table("tasks"), "dropped")


@check("stream")
def check_stream():
    with ENGINE.connect() as connection:
        result = connection.execution_options(yield_per=150).execute(
            sa.select(Account.id).where(Account.id <= ACCOUNTS).order_by(Account.id)
        )
        expect([row.id for row in result], list(range(1, ACCOUNTS + 1)), "150 at a time")
        result = connection.execution_options(stream_results=True, max_row_buffer=1000).execute(
            sa.text("SELECT n FROM generate_series(1, 100000) AS n")
        )
        expect(sum(row.n for row in result), 5_000_050_000, "100,000 rows")


@check("asyncio")
async def check_asyncio():
    engine = create_async_engine(URL, connect_args={"options": "-c TimeZone=UTC"})
    async with AsyncSession(engine) as session:
        session.add_all([Account(id=EXTRA_FIRST + 9000 + n, owner="async") for n in range(16)])
        await session.flush()
        count = sa.select(sa.func.count()).where(Account.owner == "async")
        expect(await session.scalar(count), 16, "rows of its own")
        await session.rollback()
        rows = await session.stream(
            sa.select(Account.id)
            .where(Account.id <= ACCOUNTS)
            .order_by(Account.id)
            .execution_options(yield_per=200)
        )
        expect([row.id async for row in rows], list(range(1, ACCOUNTS + 1)), "streamed")
    await engine.dispose()


run()
