/** Drizzle: migrations as drizzle-kit writes them, its query builder, and relations by lateral joins. */
import { join } from "node:path";
import { and, asc, count, desc, eq, exists, gt, inArray, max, relations, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { migrate } from "drizzle-orm/node-postgres/migrator";
import {
  bigint,
  bigserial,
  foreignKey,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  union,
  varchar,
} from "drizzle-orm/pg-core";
import pg from "pg";
import { failureOf, ormSession } from "./orm-session.ts";

const MIGRATIONS = { migrationsFolder: join(import.meta.dirname, "drizzle") };
const DAY = new Date("2024-05-01T10:00:00Z");

const countries = pgTable("countries", {
  code: varchar({ length: 2 }).primaryKey(),
  name: text().notNull(),
});
const users = pgTable("users", {
  id: bigserial({ mode: "number" }).primaryKey(),
  name: text().notNull(),
  email: text(),
  country: varchar({ length: 2 }).references(() => countries.code),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
});
const posts = pgTable(
  "posts",
  {
    userId: bigint("user_id", { mode: "number" })
      .notNull()
      .references(() => users.id, { onDelete: "cascade" }),
    number: integer().notNull(),
    title: text().notNull(),
    meta: jsonb(),
    likes: integer().notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.number] }),
    index("posts_title").on(table.title),
  ],
);
const comments = pgTable(
  "comments",
  {
    userId: bigint("user_id", { mode: "number" }).notNull(),
    post: integer().notNull(),
    number: integer().notNull(),
    text: text(),
  },
  (table) => [
    primaryKey({ columns: [table.userId, table.post, table.number] }),
    foreignKey({
      columns: [table.userId, table.post],
      foreignColumns: [posts.userId, posts.number],
    }).onDelete("cascade"),
  ],
);
const schema = {
  countries,
  users,
  posts,
  comments,
  userRelations: relations(users, ({ one, many }) => ({
    home: one(countries, { fields: [users.country], references: [countries.code] }),
    posts: many(posts),
  })),
  postRelations: relations(posts, ({ one, many }) => ({
    author: one(users, { fields: [posts.userId], references: [users.id] }),
    comments: many(comments),
  })),
  commentRelations: relations(comments, ({ one }) => ({
    of: one(posts, {
      fields: [comments.userId, comments.post],
      references: [posts.userId, posts.number],
    }),
  })),
};

function connect(url: string) {
  return drizzle(new pg.Pool({ connectionString: url, max: 4 }), { schema });
}
type Drizzle = ReturnType<typeof connect>;

ormSession<Drizzle>(
  "Drizzle",
  { open: connect, close: (db) => db.$client.end() },
  {
    migrations: async (db) => {
      await migrate(db, MIGRATIONS);
      const { rows } = await db.execute(
        sql`select id, created_at from drizzle.__drizzle_migrations order by id`,
      );
      return rows;
    },
    "migrations, of which none is new": async (db) => {
      await migrate(db, MIGRATIONS);
      return db.$count(users);
    },
    "insert, returning": async (db) => {
      await db.insert(countries).values([
        { code: "AT", name: "Austria" },
        { code: "FR", name: "France" },
      ]);
      const one = await db
        .insert(users)
        .values({ name: "Ada", country: "AT", createdAt: DAY })
        .returning({ name: users.name, at: users.createdAt });
      const many = Array.from({ length: 30 }, (_, n) => ({
        id: 100 + n,
        name: `user ${n % 7}`,
        country: n % 3 === 0 ? "AT" : "FR",
        createdAt: DAY,
      }));
      return [one, await db.insert(users).values(many).returning()];
    },
    "children, in one statement for many parents": async (db) => {
      const made = Array.from({ length: 40 }, (_, n) => ({
        userId: 100 + (n % 20),
        number: n,
        title: `post ${n}`,
        meta: { tags: [n % 2 === 0 ? "even" : "odd"] },
        likes: n % 5,
      }));
      const rows = await db.insert(posts).values(made).returning({ number: posts.number });
      await db.insert(comments).values(
        made.map(({ userId, number }) => ({
          userId,
          post: number,
          number: 1,
          text: `on ${number}`,
        })),
      );
      return rows.length;
    },
    "relations of one row": (db) =>
      db.query.users.findFirst({
        where: eq(users.id, 104),
        with: { home: true, posts: { orderBy: asc(posts.number), with: { comments: true } } },
      }),
    "relations of many rows": (db) =>
      db.query.users.findMany({
        where: gt(users.id, 110),
        orderBy: [desc(users.name), asc(users.id)],
        limit: 8,
        offset: 1,
        columns: { id: true, name: true },
        extras: { upper: sql<string>`upper(${users.name})`.as("upper") },
        with: {
          home: { columns: { name: true } },
          posts: { orderBy: asc(posts.number), columns: { title: true }, limit: 1 },
        },
      }),
    "relations towards the parent": (db) =>
      db.query.posts.findMany({
        where: gt(posts.likes, 3),
        orderBy: asc(posts.number),
        with: { author: { with: { home: true } }, comments: true },
      }),
    join: (db) =>
      db
        .select({ id: users.id, title: posts.title, country: countries.name })
        .from(users)
        .innerJoin(posts, eq(posts.userId, users.id))
        .leftJoin(countries, eq(countries.code, users.country))
        .where(and(gt(posts.likes, 1), inArray(users.id, [100, 101, 102, 103, 104])))
        .orderBy(asc(users.id), asc(posts.number)),
    "pages, and how many rows there are": async (db) => [
      await db
        .select({ id: users.id })
        .from(users)
        .where(gt(users.id, 99))
        .orderBy(asc(users.name), asc(users.id))
        .limit(7)
        .offset(7),
      await db.$count(users, gt(users.id, 99)),
      await db.select({ n: count(), most: max(posts.likes) }).from(posts),
    ],
    groups: (db) =>
      db
        .select({ userId: posts.userId, n: count() })
        .from(posts)
        .groupBy(posts.userId)
        .having(({ n }) => gt(n, 1))
        .orderBy(desc(count()), asc(posts.userId)),
    "sub-selects": async (db) => {
      const liked = db
        .select({ userId: posts.userId, likes: sql<number>`sum(${posts.likes})::int`.as("likes") })
        .from(posts)
        .groupBy(posts.userId)
        .as("liked");
      return [
        await db
          .select({ name: users.name, likes: liked.likes })
          .from(users)
          .innerJoin(liked, eq(liked.userId, users.id))
          .orderBy(asc(users.id)),
        await db
          .select({ id: users.id })
          .from(users)
          .where(
            exists(
              db
                .select({ one: sql`1` })
                .from(posts)
                .where(and(eq(posts.userId, users.id), eq(posts.likes, 4))),
            ),
          )
          .orderBy(asc(users.id)),
      ];
    },
    "set operations and WITH": async (db) => {
      const busy = db.$with("busy").as(db.select().from(users).where(gt(users.id, 120)));
      return [
        await union(
          db.select({ name: users.name }).from(users),
          db.select({ name: countries.name }).from(countries),
        ).orderBy(asc(sql`name`)),
        await db.with(busy).select({ id: busy.id }).from(busy).orderBy(asc(busy.id)),
      ];
    },
    "distinct on": (db) =>
      db
        .selectDistinctOn([users.name], { name: users.name, id: users.id })
        .from(users)
        .orderBy(asc(users.name), asc(users.id)),
    update: async (db) => [
      await db
        .update(users)
        .set({ name: "changed" })
        .where(eq(users.id, 103))
        .returning({ id: users.id, name: users.name }),
      await db
        .update(posts)
        .set({ likes: sql`${posts.likes} + 1` })
        .where(eq(posts.userId, 103))
        .returning(),
    ],
    upsert: async (db) => [
      await db
        .insert(users)
        .values({ id: 100, name: "again" })
        .onConflictDoUpdate({ target: users.id, set: { name: sql`excluded.name` } })
        .returning({ name: users.name }),
      await db
        .insert(countries)
        .values({ code: "AT", name: "Autriche" })
        .onConflictDoNothing()
        .returning(),
    ],
    "prepared statements": async (db) => {
      const byId = db
        .select({ name: users.name })
        .from(users)
        .where(eq(users.id, sql.placeholder("id")))
        .prepare("by_id");
      return Promise.all([100, 101, 102].map((id) => byId.execute({ id })));
    },
    "a transaction that commits, with a savepoint that does not": async (db) => {
      await db.transaction(async (tx) => {
        await tx.insert(users).values({ id: 600, name: "in transaction", createdAt: DAY });
        await failureOf(
          tx.transaction(async (inner) => {
            await inner.insert(posts).values({ userId: 600, number: 1, title: "gone" });
            inner.rollback();
          }),
        );
        await tx.insert(posts).values({ userId: 600, number: 2, title: "kept" });
      });
      return db.query.users.findFirst({ where: eq(users.id, 600), with: { posts: true } });
    },
    "a transaction that fails": async (db) => [
      await failureOf(
        db.transaction(async (tx) => {
          await tx.insert(users).values({ id: 700, name: "gone" });
          await tx.insert(posts).values({ userId: 123_456, number: 1, title: "orphan" });
        }),
      ),
      await db.select().from(users).where(eq(users.id, 700)),
    ],
    "delete, with what hangs on it": async (db) => [
      await db.delete(users).where(eq(users.id, 101)).returning({ id: users.id }),
      await db.$count(posts, eq(posts.userId, 101)),
      await db.$count(comments),
    ],
  },
);
