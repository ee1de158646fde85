/** TypeORM: synchronize, which reads the whole catalog; migrations; repositories, relations and the query builder. */
import {
  DataSource,
  EntitySchema,
  In,
  IsNull,
  LessThan,
  MoreThan,
  Not,
  Table,
  TableColumn,
} from "typeorm";
import type { MigrationInterface, QueryRunner } from "typeorm";
import { failureOf, ormSession } from "./orm-session.ts";

/** Two users are there before the thirty that come in one statement; the database draws their ids. */
const FIRST = 3;
const DAY = new Date("2024-05-01T10:00:00Z");

interface Country {
  code: string;
  name: string;
}
interface User {
  id: string;
  name: string;
  email: string | null;
  visits: number;
  createdAt: Date;
  country: Country | null;
  posts: Post[];
}
interface Post {
  userId: string;
  number: number;
  title: string;
  meta: unknown;
  likes: number;
  author: User;
  comments: Comment[];
}
interface Comment {
  userId: string;
  post: number;
  number: number;
  text: string | null;
  of: Post;
}

const Countries = new EntitySchema<Country>({
  name: "Country",
  tableName: "countries",
  columns: { code: { type: "varchar", length: 2, primary: true }, name: { type: "text" } },
});
const Users = new EntitySchema<User>({
  name: "User",
  tableName: "users",
  columns: {
    id: { type: "bigint", primary: true, generated: "increment" },
    name: { type: "text" },
    email: { type: "varchar", nullable: true },
    visits: { type: "integer", default: 0 },
    createdAt: { type: "timestamptz", name: "created_at", createDate: true },
  },
  indices: [{ name: "users_name", columns: ["name"] }],
  relations: {
    country: {
      type: "many-to-one",
      target: "Country",
      nullable: true,
      joinColumn: { name: "country" },
    },
    posts: { type: "one-to-many", target: "Post", inverseSide: "author", cascade: ["insert"] },
  },
});
const Posts = new EntitySchema<Post>({
  name: "Post",
  tableName: "posts",
  columns: {
    userId: { type: "bigint", name: "user_id", primary: true },
    number: { type: "integer", primary: true },
    title: { type: "text" },
    meta: { type: "jsonb", nullable: true },
    likes: { type: "integer", default: 0 },
  },
  relations: {
    author: {
      type: "many-to-one",
      target: "User",
      inverseSide: "posts",
      onDelete: "CASCADE",
      joinColumn: { name: "user_id" },
    },
    comments: { type: "one-to-many", target: "Comment", inverseSide: "of" },
  },
});
const Comments = new EntitySchema<Comment>({
  name: "Comment",
  tableName: "comments",
  columns: {
    userId: { type: "bigint", name: "user_id", primary: true },
    post: { type: "integer", primary: true },
    number: { type: "integer", primary: true },
    text: { type: "text", nullable: true },
  },
  relations: {
    of: {
      type: "many-to-one",
      target: "Post",
      inverseSide: "comments",
      onDelete: "CASCADE",
      joinColumn: [
        { name: "user_id", referencedColumnName: "userId" },
        { name: "post", referencedColumnName: "number" },
      ],
    },
  },
});

class AddMotto1714550400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.addColumn(
      "users",
      new TableColumn({ name: "motto", type: "text", isNullable: true }),
    );
    await runner.createTable(
      new Table({ name: "notes", columns: [{ name: "id", type: "int", isPrimary: true }] }),
    );
  }
  async down(runner: QueryRunner): Promise<void> {
    await runner.dropTable("notes");
    await runner.dropColumn("users", "motto");
  }
}

ormSession<DataSource>(
  "TypeORM",
  {
    open: (url) =>
      new DataSource({
        type: "postgres",
        url,
        poolSize: 4,
        entities: [Countries, Users, Posts, Comments],
        migrations: [AddMotto1714550400000],
      }).initialize(),
    close: (db) => db.destroy(),
  },
  {
    "tables by synchronize, twice": async (db) => {
      await db.synchronize();
      const { upQueries } = await db.driver.createSchemaBuilder().log();
      return upQueries.map(({ query }) => query);
    },
    "the catalog": async (db) => {
      const runner = db.createQueryRunner();
      const tables = await runner.getTables(["users", "posts", "comments", "countries"]);
      const found = tables.map(({ name, columns, indices, foreignKeys }) => ({
        name,
        columns: columns.map((column) => [
          column.name,
          column.type,
          column.isNullable,
          column.isPrimary,
          column.isGenerated,
        ]),
        indices: indices.map((index) => [index.name, index.columnNames]),
        keys: foreignKeys
          .map((key) => [key.name, key.columnNames, key.referencedTableName, key.onDelete])
          .toSorted((a, b) => String(a[0]).localeCompare(String(b[0]))),
      }));
      await runner.release();
      return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
    migrations: async (db) => {
      const ran = await db.runMigrations();
      await db.undoLastMigration();
      await db.runMigrations();
      const pending = await db.showMigrations();
      await db.undoLastMigration();
      return [ran.map(({ name }) => name), pending];
    },
    "save, with what hangs on it": async (db) => {
      await db.getRepository(Countries).save([
        { code: "AT", name: "Austria" },
        { code: "FR", name: "France" },
      ]);
      const saved = await db.getRepository(Users).save({
        name: "Ada",
        createdAt: DAY,
        country: { code: "AT" },
        posts: [
          { number: 1, title: "first" },
          { number: 2, title: "second" },
        ],
      });
      const drawn = await db.getRepository(Users).save({ name: "drawn", createdAt: DAY });
      return [saved, drawn];
    },
    "insert of many": async (db) => {
      const users = Array.from({ length: 30 }, (_, n) => ({
        name: `user ${n % 7}`,
        visits: n,
        createdAt: DAY,
        country: { code: n % 3 === 0 ? "AT" : "FR" },
      }));
      const made = Array.from({ length: 40 }, (_, n) => ({
        userId: String(FIRST + (n % 20)),
        number: n,
        title: `post ${n}`,
        meta: { tags: [n % 2 === 0 ? "even" : "odd"] },
        likes: n % 5,
      }));
      const { identifiers } = await db.getRepository(Users).insert(users);
      await db.getRepository(Posts).insert(made);
      await db.getRepository(Comments).insert(
        made.map(({ userId, number }) => ({
          userId,
          post: number,
          number: 1,
          text: `on ${number}`,
        })),
      );
      return [identifiers, await db.getRepository(Comments).count()];
    },
    "relations by joins": (db) =>
      db.getRepository(Users).find({
        where: { id: In(["1", "3", "7"]) },
        relations: { country: true, posts: { comments: true } },
        order: { id: "ASC", posts: { number: "ASC" } },
      }),
    "relations by queries of its own": (db) =>
      db.getRepository(Users).find({
        where: { id: In(["1", "3", "7"]) },
        relationLoadStrategy: "query",
        relations: { posts: true },
        order: { id: "ASC" },
      }),
    "pages of parents with their children": async (db) => {
      const [rows, count] = await db.getRepository(Users).findAndCount({
        where: { id: MoreThan("2") },
        relations: { posts: true },
        order: { name: "ASC", id: "ASC", posts: { number: "ASC" } },
        take: 6,
        skip: 6,
      });
      return [rows, count];
    },
    conditions: (db) =>
      db.getRepository(Users).find({
        select: { id: true, name: true },
        where: [
          { email: IsNull(), visits: LessThan(3) },
          { name: Not("user 1"), country: { name: "Austria" } },
        ],
        order: { id: "ASC" },
      }),
    "the query builder": (db) =>
      db
        .getRepository(Posts)
        .createQueryBuilder("p")
        .select("p.userId", "user")
        .addSelect("COUNT(*)", "n")
        .addSelect("COALESCE(SUM(p.likes), 0)", "likes")
        .innerJoin("p.author", "u")
        .where("u.visits >= :least", { least: 2 })
        .groupBy("p.userId")
        .having("COUNT(*) > 1")
        .orderBy("likes", "DESC")
        .addOrderBy("p.userId")
        .limit(5)
        .getRawMany(),
    "sub-selects of the query builder": (db) =>
      db
        .getRepository(Users)
        .createQueryBuilder("u")
        .where(
          (query) =>
            `u.id IN ${query.subQuery().select("p.userId").from(Posts, "p").where("p.likes = 4").getQuery()}`,
        )
        .loadRelationIdAndMap("u.postIds", "u.posts")
        .orderBy("u.id")
        .getMany(),
    "update, increment": async (db) => {
      const users = db.getRepository(Users);
      const found = await users.findOneByOrFail({ id: "6" });
      found.name = "changed";
      await users.save(found);
      await users.increment({ id: "6" }, "visits", 5);
      const { affected } = await db.getRepository(Posts).update({ likes: 4 }, { likes: 40 });
      const returned = await db
        .createQueryBuilder()
        .update(Users)
        .set({ visits: () => "visits + 1" })
        .where("id = :id", { id: 7 })
        .returning(["id", "visits"])
        .execute();
      return [await users.findOneBy({ id: "6" }), affected, returned.raw];
    },
    upsert: async (db) => {
      const countries = db.getRepository(Countries);
      await countries.upsert(
        [
          { code: "AT", name: "Autriche" },
          { code: "IT", name: "Italy" },
        ],
        ["code"],
      );
      await db.getRepository(Posts).upsert(
        [
          { userId: "3", number: 0, title: "again" },
          { userId: "3", number: 900, title: "new" },
        ],
        ["userId", "number"],
      );
      return [
        await countries.find({ order: { code: "ASC" } }),
        await db.getRepository(Posts).find({ where: { userId: "3" }, order: { number: "ASC" } }),
      ];
    },
    "a transaction that commits": (db) =>
      db.transaction(async (manager) => {
        const { id } = await manager.save(Users, { name: "in transaction", createdAt: DAY });
        await manager.insert(Posts, { userId: id, number: 1, title: "first" });
        return manager.findOne(Users, { where: { id }, lock: { mode: "pessimistic_write" } });
      }),
    "a transaction within a transaction": async (db) => {
      await db.transaction(async (manager) => {
        await manager.insert(Users, { name: "kept", createdAt: DAY });
        await failureOf(
          manager.transaction(async (inner) => {
            await inner.insert(Users, { name: "gone", createdAt: DAY });
            throw new Error("inner");
          }),
        );
      });
      return db
        .getRepository(Users)
        .find({ where: { name: In(["kept", "gone"]) }, select: { name: true } });
    },
    "a transaction that fails": async (db) => [
      await failureOf(
        db.transaction(async (manager) => {
          await manager.insert(Users, { name: "gone", createdAt: DAY });
          await manager.insert(Posts, { userId: "3", number: 900, title: "taken" });
        }),
      ),
      await db.getRepository(Users).countBy({ name: "gone" }),
    ],
    "remove, with what hangs on it": async (db) => {
      const users = db.getRepository(Users);
      await users.remove(await users.findOneByOrFail({ id: "4" }));
      const { affected } = await db.getRepository(Posts).delete({ likes: LessThan(1) });
      return [
        affected,
        await db.getRepository(Posts).countBy({ userId: "4" }),
        await db.getRepository(Comments).count(),
      ];
    },
  },
);
