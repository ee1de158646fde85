/** Knex: migrations, the query builder, transactions within transactions, and what it asks the catalog. */
import knex from "knex";
import type { Knex } from "knex";
import { failureOf, ormSession } from "./orm-session.ts";

const DAY = "2024-05-01T10:00:00Z";

const migration: Knex.Migration = {
  up: async (db) => {
    await db.schema.createTable("countries", (table) => {
      table.string("code", 2).primary();
      table.string("name").notNullable();
    });
    await db.schema.createTable("users", (table) => {
      table.bigIncrements("id");
      table.string("name").notNullable().index();
      table.string("email");
      table.string("country", 2).references("code").inTable("countries");
      table.integer("visits").notNullable().defaultTo(0);
      table.timestamp("created_at").notNullable().defaultTo(db.fn.now());
    });
    await db.schema.createTable("posts", (table) => {
      table
        .bigInteger("user_id")
        .notNullable()
        .references("id")
        .inTable("users")
        .onDelete("CASCADE");
      table.integer("number").notNullable();
      table.string("title").notNullable();
      table.jsonb("meta");
      table.primary(["user_id", "number"]);
    });
    await db.schema.createTable("comments", (table) => {
      table.bigInteger("user_id").notNullable();
      table.integer("post").notNullable();
      table.integer("number").notNullable();
      table.text("text");
      table.primary(["user_id", "post", "number"]);
      table
        .foreign(["user_id", "post"])
        .references(["user_id", "number"])
        .inTable("posts")
        .onDelete("CASCADE");
    });
  },
  down: async (db) => {
    for (const name of ["comments", "posts", "users", "countries"]) await db.schema.dropTable(name);
  },
};

const second: Knex.Migration = {
  up: async (db) => {
    await db.schema.alterTable("posts", (table) => {
      table.integer("likes").notNullable().defaultTo(0);
      table.index(["likes"], "posts_likes");
    });
  },
  down: async (db) => {
    await db.schema.alterTable("posts", (table) => {
      table.dropIndex(["likes"], "posts_likes");
      table.dropColumn("likes");
    });
  },
};

const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: () => Promise.resolve(["001_tables", "002_likes"]),
  getMigrationName: (name) => name,
  getMigration: (name) => Promise.resolve(name === "001_tables" ? migration : second),
};

ormSession<Knex>(
  "Knex",
  {
    open: (url) => knex({ client: "pg", connection: url, pool: { min: 0, max: 4 } }),
    close: (db) => db.destroy(),
  },
  {
    "migrations to the latest": async (db) => [
      await db.migrate.latest({ migrationSource }),
      await db.migrate.currentVersion({ migrationSource }),
      (await db("knex_migrations").select("name", "batch").orderBy("id")) as unknown,
    ],
    "the catalog: hasTable, hasColumn, columnInfo": async (db) => [
      await db.schema.hasTable("posts"),
      await db.schema.hasTable("nothing"),
      await db.schema.hasColumn("posts", "likes"),
      await db("users").columnInfo(),
      await db("posts").columnInfo(),
    ],
    "insert, returning": async (db) => {
      await db("countries").insert([
        { code: "AT", name: "Austria" },
        { code: "FR", name: "France" },
      ]);
      const one = await db("users")
        .insert({ name: "Ada", email: "ada@x", country: "AT" })
        .returning(["name", "visits"]);
      const users = Array.from({ length: 30 }, (_, index) => ({
        id: 100 + index,
        name: `user ${index % 7}`,
        country: index % 3 === 0 ? "AT" : "FR",
        visits: index,
        created_at: DAY,
      }));
      return [one, await db.batchInsert("users", users, 10).returning("id")];
    },
    "children, in one statement for many parents": async (db) => {
      const posts = Array.from({ length: 40 }, (_, index) => ({
        user_id: 100 + (index % 20),
        number: index,
        title: `post ${index}`,
        meta: JSON.stringify({ tags: [index % 2 === 0 ? "even" : "odd"] }),
        likes: index % 5,
      }));
      const comments = posts.map(({ user_id, number }) => ({
        user_id,
        post: number,
        number: 1,
        text: `on ${number}`,
      }));
      return [
        await db("posts")
          .insert(posts)
          .returning(["user_id", "number"])
          .then((rows: unknown[]) => rows.length),
        await db("comments")
          .insert(comments)
          .then(() => "done"),
      ];
    },
    "by key": (db) => db("users").where({ id: 104 }).first("id", "name", "country", "created_at"),
    "by many keys": (db) =>
      db("users").whereIn("id", [100, 107, 129]).orderBy("id").select("id", "name"),
    "join, of the colocation and of the reference table": (db) =>
      db("users as u")
        .join("posts as p", "p.user_id", "u.id")
        .leftJoin("countries as c", "c.code", "u.country")
        .where("p.likes", ">", 1)
        .orderBy(["u.id", "p.number"])
        .select("u.id", "p.title", "c.name as country"),
    "pages, and how many rows there are": async (db) => {
      const pages = [];
      for (const offset of [0, 10, 20])
        pages.push(
          await db("users")
            .where("id", ">=", 100)
            .orderBy("name")
            .orderBy("id")
            .limit(10)
            .offset(offset)
            .select("id", "name"),
        );
      return [
        pages,
        await db("users").count({ count: "*" }),
        await db("posts").countDistinct("user_id as users"),
      ];
    },
    groups: (db) =>
      db("posts")
        .groupBy("user_id")
        .havingRaw("count(*) > 1")
        .orderBy("user_id")
        .select("user_id", db.raw("count(*)::int AS posts"))
        .sum({ likes: "likes" }),
    "sub-selects": (db) =>
      db("users")
        .whereIn("id", db("posts").where("likes", 4).select("user_id"))
        .whereExists(db("comments").whereRaw("comments.user_id = users.id"))
        .orderBy("id")
        .select("id", db("posts").whereRaw("posts.user_id = users.id").count("*").as("posts")),
    "set operations and WITH": async (db) => [
      await db("users")
        .where("visits", "<", 3)
        .select("name")
        .union(db("countries").select("name"))
        .orderBy("name"),
      await db
        .with("busy", db("users").where("visits", ">", 20))
        .from("busy")
        .orderBy("id")
        .select("id"),
    ],
    json: (db) =>
      db("posts")
        .whereJsonSupersetOf("meta", { tags: ["odd"] })
        .orderBy("number")
        .limit(3)
        .select("number", "meta"),
    "update, increment": async (db) => [
      await db("users").where({ id: 103 }).update({ name: "changed" }, ["id", "name"]),
      await db("posts").where({ user_id: 103 }).increment("likes", 2),
      await db("posts").where({ user_id: 103 }).orderBy("number").select("likes"),
      await db("users").whereIn("id", [104, 105, 106]).update({ visits: 99 }),
    ],
    upsert: async (db) => [
      await db("users")
        .insert([
          { id: 100, name: "again", visits: 5 },
          { id: 500, name: "new", visits: 1 },
        ])
        .onConflict("id")
        .merge(["name"])
        .returning(["id", "name"])
        .then((rows: { id: string }[]) => rows.toSorted((a, b) => Number(a.id) - Number(b.id))),
      await db("countries").insert({ code: "AT", name: "Autriche" }).onConflict("code").ignore(),
      await db("countries").select().orderBy("code"),
    ],
    "a transaction that commits": (db) =>
      db.transaction(async (trx) => {
        await trx("users").insert({ id: 600, name: "in transaction" });
        await trx("posts").insert({ user_id: 600, number: 1, title: "first" });
        const [row] = await trx("users").where({ id: 600 }).forUpdate().select("name");
        return row as unknown;
      }),
    "a transaction that rolls back, and one within it": async (db) => {
      const failure = await failureOf(
        db.transaction(async (trx) => {
          await trx("users").insert({ id: 700, name: "gone" });
          await failureOf(
            trx.transaction(async (inner) => {
              await inner("users").insert({ id: 701, name: "gone, too" });
              throw new Error("inner");
            }),
          );
          await trx("users").insert({ id: 100, name: "taken" });
        }),
      );
      return [failure, await db("users").whereIn("id", [700, 701]).select("id")];
    },
    "a violated foreign key": (db) =>
      failureOf(db("posts").insert({ user_id: 123_456, number: 1, title: "orphan" })),
    "delete, with what hangs on it": async (db) => [
      await db("users").where({ id: 101 }).del(),
      await db("posts").where({ user_id: 101 }).select(),
      await db("comments").where({ user_id: 101 }).select(),
    ],
    "rolled back by one migration": async (db) => [
      await db.migrate.rollback({ migrationSource }),
      await db.schema.hasTable("posts"),
    ],
    "and migrated again": async (db) => {
      await db.migrate.up({ migrationSource });
      await db.migrate.up({ migrationSource });
      await db("users").insert([1, 2, 3, 4, 5, 6, 7, 8].map((id) => ({ id, name: `user ${id}` })));
      return db("users").orderBy("id").select("id", "name");
    },
  },
);
