/** Kysely: its migrator, introspection, and relations as JSON sub-selects. */
import { Kysely, PostgresAdapter, PostgresDialect, sql } from "kysely";
import type { Generated } from "kysely";
import { Migrator } from "kysely/migration";
import type { Migration } from "kysely/migration";
import { jsonArrayFrom, jsonObjectFrom } from "kysely/helpers/postgres";
import pg from "pg";
import { failureOf, ormSession } from "./orm-session.ts";

const DAY = new Date("2024-05-01T10:00:00Z");

interface Tables {
  countries: { code: string; name: string };
  users: {
    id: Generated<string | number>;
    name: string;
    email: string | null;
    country: string | null;
    created_at: Generated<Date>;
  };
  posts: { user_id: string | number; number: number; title: string; likes: Generated<number> };
  comments: { user_id: string | number; post: number; number: number; text: string | null };
}

const tables: Migration = {
  up: async (db: Kysely<unknown>) => {
    await db.schema
      .createTable("countries")
      .addColumn("code", "varchar(2)", (column) => column.primaryKey())
      .addColumn("name", "text", (column) => column.notNull())
      .execute();
    await db.schema
      .createTable("users")
      .addColumn("id", "bigserial", (column) => column.primaryKey())
      .addColumn("name", "text", (column) => column.notNull())
      .addColumn("email", "text")
      .addColumn("country", "varchar(2)", (column) => column.references("countries.code"))
      .addColumn("created_at", "timestamptz", (column) => column.notNull().defaultTo(sql`now()`))
      .execute();
    await db.schema
      .createTable("posts")
      .addColumn("user_id", "bigint", (column) =>
        column.notNull().references("users.id").onDelete("cascade"),
      )
      .addColumn("number", "integer", (column) => column.notNull())
      .addColumn("title", "text", (column) => column.notNull())
      .addPrimaryKeyConstraint("posts_key", ["user_id", "number"])
      .execute();
    await db.schema
      .createTable("comments")
      .addColumn("user_id", "bigint", (column) => column.notNull())
      .addColumn("post", "integer", (column) => column.notNull())
      .addColumn("number", "integer", (column) => column.notNull())
      .addColumn("text", "text")
      .addPrimaryKeyConstraint("comments_key", ["user_id", "post", "number"])
      .addForeignKeyConstraint(
        "comments_post",
        ["user_id", "post"],
        "posts",
        ["user_id", "number"],
        (key) => key.onDelete("cascade"),
      )
      .execute();
    await db.schema.createIndex("users_name").on("users").column("name").execute();
  },
  down: async (db: Kysely<unknown>) => {
    for (const name of ["comments", "posts", "users", "countries"])
      await db.schema.dropTable(name).execute();
  },
};

const likes: Migration = {
  up: (db: Kysely<unknown>) =>
    db.schema
      .alterTable("posts")
      .addColumn("likes", "integer", (column) => column.notNull().defaultTo(0))
      .execute(),
  down: (db: Kysely<unknown>) => db.schema.alterTable("posts").dropColumn("likes").execute(),
};

/**
 * Kysely's migrator sets its lock's timeout by `set_config` in the statement that locks, which
 * the proxy refuses. The lock itself is of the session, whose connection it then keeps.
 */
class PatientAdapter extends PostgresAdapter {
  override async acquireMigrationLock(db: Kysely<unknown>): Promise<void> {
    await sql`select pg_advisory_lock(3853314791062309107)`.execute(db);
  }
}

class PatientDialect extends PostgresDialect {
  override createAdapter(): PostgresAdapter {
    return new PatientAdapter();
  }
}

function migrator(db: Kysely<Tables>): Migrator {
  const getMigrations = (): Promise<Record<string, Migration>> =>
    Promise.resolve({ "001_tables": tables, "002_likes": likes });
  return new Migrator({ db, provider: { getMigrations } });
}

ormSession<Kysely<Tables>>(
  "Kysely",
  {
    open: (url) =>
      new Kysely<Tables>({
        dialect: new PatientDialect({ pool: new pg.Pool({ connectionString: url, max: 4 }) }),
      }),
    close: (db) => db.destroy(),
  },
  {
    "migrations to the latest": async (db) => {
      const { error, results } = await migrator(db).migrateToLatest();
      if (error !== undefined) throw error;
      return results;
    },
    introspection: async (db) => {
      // The proxy's own tables stand in a schema of the catalog database, and are seen.
      const found = (await db.introspection.getTables()).filter(
        ({ schema }) => schema !== "colonnade",
      );
      return found.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    },
    schemas: async (db) =>
      (await db.introspection.getSchemas()).map(({ name }) => name).includes("public"),
    "insert, returning": async (db) => {
      await db
        .insertInto("countries")
        .values([
          { code: "AT", name: "Austria" },
          { code: "FR", name: "France" },
        ])
        .execute();
      const one = await db
        .insertInto("users")
        .values({ name: "Ada", country: "AT", created_at: DAY })
        .returning(["name", "created_at"])
        .executeTakeFirstOrThrow();
      const many = Array.from({ length: 30 }, (_, n) => ({
        id: 100 + n,
        name: `user ${n % 7}`,
        country: n % 3 === 0 ? "AT" : "FR",
        created_at: DAY,
      }));
      return [one, await db.insertInto("users").values(many).returningAll().execute()];
    },
    "children, in one statement for many parents": async (db) => {
      const made = Array.from({ length: 40 }, (_, n) => ({
        user_id: 100 + (n % 20),
        number: n,
        title: `post ${n}`,
        likes: n % 5,
      }));
      const posts = await db.insertInto("posts").values(made).executeTakeFirst();
      const comments = await db
        .insertInto("comments")
        .columns(["user_id", "post", "number", "text"])
        .expression(
          db
            .selectFrom("posts")
            .select((of) => ["user_id", "number", of.val(1).$castTo<number>().as("one"), "title"]),
        )
        .executeTakeFirst();
      return [posts, comments];
    },
    "relations as JSON": (db) =>
      db
        .selectFrom("users")
        .select((of) => [
          "users.id",
          "users.name",
          jsonObjectFrom(
            of
              .selectFrom("countries")
              .select("countries.name")
              .whereRef("countries.code", "=", "users.country"),
          ).as("country"),
          jsonArrayFrom(
            of
              .selectFrom("posts")
              .select((post) => [
                "posts.title",
                jsonArrayFrom(
                  post
                    .selectFrom("comments")
                    .select("comments.text")
                    .whereRef("comments.user_id", "=", "posts.user_id")
                    .whereRef("comments.post", "=", "posts.number")
                    .orderBy("comments.number"),
                ).as("comments"),
              ])
              .whereRef("posts.user_id", "=", "users.id")
              .orderBy("posts.number"),
          ).as("posts"),
        ])
        .where("users.id", ">=", 100)
        .orderBy("users.id")
        .limit(12)
        .execute(),
    join: (db) =>
      db
        .selectFrom("users")
        .innerJoin("posts", "posts.user_id", "users.id")
        .leftJoin("countries", "countries.code", "users.country")
        .where("posts.likes", ">", 1)
        .orderBy("users.id")
        .orderBy("posts.number")
        .select(["users.id", "posts.title", "countries.name as country"])
        .execute(),
    "pages, and how many rows there are": async (db) => [
      await db
        .selectFrom("users")
        .select(["id", "name"])
        .orderBy("name", "desc")
        .orderBy("id")
        .limit(7)
        .offset(7)
        .execute(),
      await db
        .selectFrom("users")
        .select(({ fn }) => [fn.countAll<number>().as("n"), fn.max("name").as("last")])
        .executeTakeFirst(),
      await db
        .selectFrom("posts")
        .select(({ fn }) => fn.count("user_id").distinct().as("authors"))
        .executeTakeFirst(),
    ],
    "a page after a row": (db) =>
      db
        .selectFrom("users")
        .select(["name", "id"])
        .where((of) => of.eb(of.refTuple("name", "id"), ">", of.tuple("user 3", 115)))
        .orderBy("name")
        .orderBy("id")
        .limit(6)
        .execute(),
    groups: (db) =>
      db
        .selectFrom("posts")
        .groupBy("user_id")
        .select(({ fn }) => [
          "user_id",
          fn.countAll<number>().as("n"),
          fn.coalesce(fn.sum("likes"), sql<number>`0`).as("likes"),
        ])
        .having(({ fn }) => fn.countAll(), ">", 1)
        .orderBy("likes", "desc")
        .orderBy("user_id")
        .execute(),
    windows: (db) =>
      db
        .selectFrom("posts")
        .select(({ fn }) => [
          "user_id",
          "number",
          fn
            .agg<number>("rank")
            .over((over) => over.orderBy("likes", "desc"))
            .as("place"),
        ])
        .orderBy("place")
        .orderBy("number")
        .limit(9)
        .execute(),
    "WITH, and a change in it": async (db) => [
      await db
        .with("busy", (of) => of.selectFrom("users").where("id", ">", 120).select("id"))
        .selectFrom("busy")
        .select("id")
        .orderBy("id")
        .execute(),
      await db
        .with("moved", (of) =>
          of.updateTable("posts").set({ likes: 50 }).where("user_id", "=", 104).returningAll(),
        )
        .selectFrom("moved")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .execute(),
    ],
    "set operations": (db) =>
      db
        .selectFrom("users")
        .select("name")
        .union(db.selectFrom("countries").select("name"))
        .orderBy("name")
        .execute(),
    update: async (db) => [
      await db
        .updateTable("users")
        .set({ name: "changed" })
        .where("id", "=", 103)
        .returning(["id", "name"])
        .execute(),
      await db
        .updateTable("posts")
        .set(({ eb }) => ({ likes: eb("likes", "+", 1) }))
        .where("user_id", "in", [103, 104, 105])
        .executeTakeFirst(),
      await db
        .updateTable("posts")
        .from("users")
        .set({ title: "by a country" })
        .whereRef("users.id", "=", "posts.user_id")
        .where("users.country", "=", "AT")
        .executeTakeFirst(),
    ],
    upsert: (db) =>
      db
        .insertInto("users")
        .values({ id: 100, name: "again" })
        .onConflict((conflict) =>
          conflict.column("id").doUpdateSet((of) => ({ name: of.ref("excluded.name") })),
        )
        .returning("name")
        .execute(),
    merge: (db) =>
      db
        .mergeInto("posts as target")
        .using("comments as source", (on) =>
          on
            .onRef("source.user_id", "=", "target.user_id")
            .onRef("source.post", "=", "target.number")
            .on("target.user_id", "=", 106),
        )
        .whenMatched()
        .thenUpdateSet({ likes: 77 })
        .executeTakeFirst(),
    "a transaction that commits": (db) =>
      db
        .transaction()
        .setIsolationLevel("read committed")
        .execute(async (trx) => {
          await trx.insertInto("users").values({ id: 600, name: "in transaction" }).execute();
          await trx
            .insertInto("posts")
            .values({ user_id: 600, number: 1, title: "first" })
            .execute();
          return trx.selectFrom("users").select("name").where("id", "=", 600).forUpdate().execute();
        }),
    "a transaction with a savepoint": async (db) => {
      const trx = await db.startTransaction().execute();
      await trx.insertInto("users").values({ id: 610, name: "kept" }).execute();
      const after = await trx.savepoint("before").execute();
      await after.insertInto("users").values({ id: 611, name: "gone" }).execute();
      const back = await after.rollbackToSavepoint("before").execute();
      await back.commit().execute();
      return db.selectFrom("users").select("id").where("id", "in", [610, 611]).execute();
    },
    "a transaction that fails": async (db) => [
      await failureOf(
        db.transaction().execute(async (trx) => {
          await trx.insertInto("users").values({ id: 700, name: "gone" }).execute();
          await trx.insertInto("users").values({ id: 100, name: "taken" }).execute();
        }),
      ),
      await db.selectFrom("users").select("id").where("id", "=", 700).execute(),
    ],
    "delete, with what hangs on it": async (db) => [
      await db.deleteFrom("users").where("id", "=", 101).executeTakeFirst(),
      await db
        .deleteFrom("posts")
        .using("users")
        .whereRef("users.id", "=", "posts.user_id")
        .where("users.name", "=", "user 2")
        .executeTakeFirst(),
      await db
        .selectFrom("comments")
        .select(({ fn }) => fn.countAll<number>().as("n"))
        .execute(),
    ],
    "migrated down and up": async (db) => {
      const down = await migrator(db).migrateDown();
      const up = await migrator(db).migrateUp();
      return [down, up];
    },
  },
);
