"""Django over psycopg 3: migrate, the ORM over sharded and other tables, introspection."""

import decimal
import io
import time

import django
from compat import *
from django.conf import settings

settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": HOST,
            "PORT": PORT,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "NAME": DATABASE,
            "OPTIONS": {"sslmode": "verify-full", "sslrootcert": CA_FILE},
            "CONN_HEALTH_CHECKS": True,
            "CONN_MAX_AGE": 60,
        }
    },
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
    ],
    USE_TZ=True,
    TIME_ZONE="UTC",
    SECRET_KEY="of the compatibility matrix",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
django.setup()

from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import (  # noqa: E402
    DatabaseError,
    IntegrityError,
    connection,
    models,
    transaction,
)
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Sum  # noqa: E402
from django.db.models.functions import Mod, Now  # noqa: E402

HUNDRED = decimal.Decimal("100.00")


class Account(models.Model):
    id = models.BigIntegerField(primary_key=True)
    owner = models.TextField()
    balance = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    note = models.TextField(null=True)

    class Meta:
        app_label = "matrix"
        db_table = "accounts"
        managed = False


class Entry(models.Model):
    pk = models.CompositePrimaryKey("account_id", "id")
    account = models.ForeignKey(Account, models.CASCADE, related_name="entries")
    id = models.BigIntegerField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        app_label = "matrix"
        db_table = "entries"
        managed = False


class Kind(models.Model):
    code = models.TextField(primary_key=True)
    label = models.TextField(null=True)

    class Meta:
        app_label = "matrix"
        db_table = "kinds"
        managed = False


def fails(sqlstate, action):
    return expect_error(DatabaseError, lambda error: error.__cause__.sqlstate, sqlstate, action)


@check("connect")
def check_connect():
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database(), current_setting('TimeZone')")
        expect(cursor.fetchone(), (USER, DATABASE, "UTC"), "who and where")
    expect_true(connection.pg_version >= 140000, "the server's version")
    expect_true(connection.connection.pgconn.ssl_in_use, "TLS is not in use")
    expect(connection.is_usable(), True, "its check of health")
    connection.close()
    right = connection.settings_dict["PASSWORD"]
    connection.settings_dict["PASSWORD"] = "not it"
    try:
        connection.ensure_connection()
        raise AssertionError("connected with a wrong password")
    except DatabaseError as error:
        expect_true("password authentication failed" in str(error), f"another reason: {error}")
    finally:
        connection.settings_dict["PASSWORD"] = right


@check("transactions")
def check_transactions():
    first = TRANSACTIONS_FIRST
    mine = Account.objects.filter(id__gte=first, id__lt=first + 1000).order_by("id")

    def present():
        return [id_ - first for id_ in mine.values_list("id", flat=True)]

    done = []
    with transaction.atomic():
        for key in range(16):
            Account.objects.create(id=first + key, owner="committed")
        transaction.on_commit(lambda: done.append("committed"))
    expect((present(), done), (list(range(16)), ["committed"]), "after the commit")
    try:
        with transaction.atomic():
            mine.delete()
            expect(present(), [], "within the transaction")
            raise LookupError("rolls back")
    except LookupError:
        pass
    expect(present(), list(range(16)), "after the rollback")
    with transaction.atomic():
        Account.objects.create(id=first + 20, owner="outer")
        try:
            with transaction.atomic():
                for key in range(30, 46):
                    Account.objects.create(id=first + key, owner="inner")
                Account.objects.create(id=first, owner="there already")
        except IntegrityError:
            pass
        with transaction.atomic():
            Account.objects.create(id=first + 21, owner="inner")
    expect(present(), [*range(16), 20, 21], "after savepoints and the commit")


@check("errors")
def check_errors():
    for key in SOME_KEYS:
        error = fails("23505", lambda: Account.objects.create(id=key, owner="twice"))  # noqa: B023
        expect_true(isinstance(error, IntegrityError), "an IntegrityError")
        diag = error.__cause__.diag
        expect((diag.table_name, diag.constraint_name), ("accounts", "accounts_pkey"), "its fields")
    with connection.cursor() as cursor:
        fails("42601", lambda: cursor.execute("SELECT * FORM accounts"))
        fails("22P02", lambda: cursor.execute("SELECT 'x'::integer"))
    fails("23503", lambda: Entry.objects.create(account_id=ERRORS_FIRST, id=1, amount=1))
    expect(Account.objects.get(id=1).owner, "owner 1", "after them")


@check("reconnect")
def check_reconnect():
    with connection.cursor() as cursor:
        for statement in END_BY_SERVER:
            cursor.execute(statement)
    time.sleep(END_BY_SERVER_SECONDS)
    try:
        Account.objects.get(id=9)
        raise AssertionError("the server did not close the connection")
    except DatabaseError:
        pass
    # What Django does at the begin of each request.
    connection.close_if_unusable_or_obsolete()
    expect(Account.objects.get(id=9).owner, "owner 9", "a new connection")


@check("migrate")
def check_migrate():
    output = io.StringIO()
    call_command("migrate", verbosity=1, stdout=output)
    expect_true("Applying auth.0012" in output.getvalue(), output.getvalue())
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
    for name in ("django_migrations", "auth_user", "auth_group_permissions", "django_session"):
        expect_true(name in names, f"no table {name} among {names}")
    expect(Permission.objects.filter(codename="add_user").count(), 1, "rows that a migration made")
    output = io.StringIO()
    call_command("migrate", verbosity=1, stdout=output)
    expect_true("No migrations to apply" in output.getvalue(), "a second migrate")


@check("users")
def check_users():
    group = Group.objects.create(name="editors")
    group.permissions.set(Permission.objects.filter(codename__in=["add_user", "change_user"]))
    for name in ("ann", "bob"):
        user = User.objects.create_user(name, f"{name}@example.com", "secret")
        user.groups.add(group)
    expect(User.objects.get(username="ann").has_perm("auth.add_user"), True, "by the group")
    names = User.objects.filter(groups__permissions__codename="add_user").order_by("username")
    expect([user.username for user in names.distinct()], ["ann", "bob"], "through two relations")
    loaded = list(User.objects.prefetch_related("groups__permissions").order_by("username"))
    expect([len(user.groups.all()[0].permissions.all()) for user in loaded], [2, 2], "prefetched")
    User.objects.all().delete()
    expect(User.objects.count(), 0, "deleted with their relations")


@check("orm")
def check_orm():
    rows = [Account(id=EXTRA_FIRST + n, owner=f"orm {n}", balance=n) for n in range(500)]
    Account.objects.bulk_create(rows, batch_size=200)
    mine = Account.objects.filter(id__gte=EXTRA_FIRST)
    expect(mine.count(), 500, "bulk_create")
    Account.objects.bulk_create(
        rows[:5],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["owner"],
    )
    expect(mine.filter(owner__startswith="orm 1").count(), 111, "LIKE")
    expect(mine.filter(Q(id=EXTRA_FIRST + 3) | Q(balance__gte=499)).count(), 2, "OR")
    expect(mine.filter(balance__lt=10).update(balance=F("balance") + 1), 10, "F()")
    found = mine.aggregate(Count("id"), Sum("balance"), Avg("balance"))
    expect(
        (found["id__count"], found["balance__sum"]),
        (500, decimal.Decimal(sum(range(500)) + 10)),
        "aggregates",
    )
    groups = (
        Account.objects.filter(id__lte=ACCOUNTS)
        .annotate(tenth=Mod("id", 10))
        .values("tenth")
        .annotate(n=Count("id"), total=Sum("balance"))
        .filter(n__gt=1)
        .order_by("tenth")
    )
    expect(
        [(int(g["tenth"]), g["n"], g["total"]) for g in groups],
        [(n, 100, HUNDRED * 100) for n in range(10)],
        "groups",
    )
    account = Account.objects.get(id=EXTRA_FIRST + 7)
    for n in range(1, 4):
        Entry.objects.create(account=account, id=n, amount=n)
    expect([int(e.amount) for e in account.entries.order_by("-amount")], [3, 2, 1], "related rows")
    entry = Entry.objects.select_related("account").get(pk=(account.id, 2))
    expect((entry.account.owner, entry.at is not None), ("orm 7", True), "by a composite key")
    having = mine.filter(Exists(Entry.objects.filter(account=OuterRef("pk"))))
    expect([a.id for a in having], [account.id], "EXISTS")
    joined = Entry.objects.filter(account__owner="orm 7", amount=3)
    expect([e.account_id for e in joined], [account.id], "joined")
    with transaction.atomic():
        locked = Account.objects.select_for_update().get(id=account.id)
        locked.balance += 5
        locked.save()
    expect(Account.objects.get(id=account.id).balance, decimal.Decimal(13), "select_for_update")
    one, created = Account.objects.get_or_create(id=EXTRA_FIRST + 900, defaults={"owner": "new"})
    same, again = Account.objects.update_or_create(id=one.id, defaults={"note": "noted"})
    expect((created, again, same.note), (True, False, "noted"), "get_or_create, update_or_create")
    expect(
        [k.code for k in Kind.objects.order_by("code")], ["credit", "debit"], "a reference table"
    )
    page = Account.objects.filter(id__lte=ACCOUNTS).order_by("-id")[10:13]
    expect([a.id for a in page], [990, 989, 988], "a page")
    entry.delete()
    expect(account.entries.all().delete()[0], 2, "related rows deleted")
    account.delete()
    mine.delete()
    expect((mine.count(), Entry.objects.filter(account_id=account.id).count()), (0, 0), "deleted")


@check("iterator")
def check_iterator():
    ids = Account.objects.filter(id__lte=ACCOUNTS).order_by("id").values_list("id", flat=True)
    expect(list(ids.iterator(chunk_size=150)), list(range(1, ACCOUNTS + 1)), "outside")
    with transaction.atomic():
        read = []
        for id_ in ids.iterator(chunk_size=150):
            read.append(id_)
            if id_ % 100 == 0:
                Account.objects.filter(id=id_).update(note="passed")
        expect(read, list(range(1, ACCOUNTS + 1)), "inside, with updates between")
        transaction.set_rollback(True)


@check("inspectdb")
def check_inspectdb():
    output = io.StringIO()
    call_command("inspectdb", "accounts", "entries", "kinds", stdout=output)
    text = output.getvalue()
    for expected in (
        "class Accounts(models.Model):",
        "balance = models.DecimalField(max_digits=12, decimal_places=2)",
        "pk = models.CompositePrimaryKey('account_id', 'id')",
        "account = models.ForeignKey(Accounts, models.DO_NOTHING)",
        "code = models.TextField(primary_key=True)",
    ):
        expect_true(expected in text, f"no {expected!r} in {text}")


run()
