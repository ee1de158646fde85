/** Sequelize: sync and the query interface, eager loading by joins and by queries of its own, and scopes of transactions. */
import { DataTypes, Op, Sequelize, col, fn, literal } from "sequelize";
import type { Model, ModelStatic } from "sequelize";
import { failureOf, ormSession } from "./orm-session.ts";

const DAY = new Date("2024-05-01T10:00:00Z");

interface Session {
  readonly db: Sequelize;
  readonly countries: ModelStatic<Model>;
  readonly users: ModelStatic<Model>;
  readonly posts: ModelStatic<Model>;
  readonly comments: ModelStatic<Model>;
}

function define(db: Sequelize): Session {
  const options = { timestamps: false, underscored: true };
  const key = { type: DataTypes.BIGINT, primaryKey: true };
  // Sequelize keeps what it learns of a column in the object it is given.
  const number = (): { type: typeof DataTypes.INTEGER; primaryKey: boolean } => ({
    type: DataTypes.INTEGER,
    primaryKey: true,
  });
  const countries = db.define(
    "country",
    {
      code: { type: DataTypes.STRING(2), primaryKey: true },
      name: { type: DataTypes.TEXT, allowNull: false },
    },
    { ...options, tableName: "countries" },
  );
  const users = db.define(
    "user",
    {
      id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true },
      name: { type: DataTypes.TEXT, allowNull: false },
      email: DataTypes.STRING,
      country: { type: DataTypes.STRING(2), references: { model: "countries", key: "code" } },
      visits: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
    },
    { tableName: "users", underscored: true, indexes: [{ fields: ["name"] }] },
  );
  const posts = db.define(
    "post",
    {
      userId: { ...key, references: { model: "users", key: "id" }, onDelete: "CASCADE" },
      number: number(),
      title: { type: DataTypes.TEXT, allowNull: false },
      meta: DataTypes.JSONB,
      likes: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
    },
    { ...options, tableName: "posts" },
  );
  const comments = db.define(
    "comment",
    {
      userId: { ...key, references: { model: "users", key: "id" }, onDelete: "CASCADE" },
      post: number(),
      number: number(),
      text: DataTypes.TEXT,
    },
    { ...options, tableName: "comments" },
  );
  users.hasMany(posts, { foreignKey: "userId", as: "posts", constraints: false });
  users.hasMany(comments, { foreignKey: "userId", as: "comments", constraints: false });
  posts.belongsTo(users, { foreignKey: "userId", as: "author", constraints: false });
  users.belongsTo(countries, {
    foreignKey: "country",
    targetKey: "code",
    as: "home",
    constraints: false,
  });
  return { db, countries, users, posts, comments };
}

const plain = (rows: readonly Model[]): unknown[] =>
  rows.map((row) => row.get({ plain: true }) as unknown);

ormSession<Session>(
  "Sequelize",
  {
    open: (url) => define(new Sequelize(url, { logging: false, pool: { max: 4 } })),
    close: ({ db }) => db.close(),
  },
  {
    "tables by sync": async ({ db }) => {
      await db.authenticate();
      await db.sync();
      await db.sync();
      return db.getQueryInterface().showAllTables();
    },
    "the catalog: columns, indexes, foreign keys": async ({ db }) => {
      const query = db.getQueryInterface();
      return [
        await query.describeTable("users"),
        await query.describeTable("posts"),
        await query.showIndex("users"),
        await query.getForeignKeyReferencesForTable("posts"),
        await query.tableExists("comments"),
      ];
    },
    "columns and indexes by the query interface": async ({ db }) => {
      const query = db.getQueryInterface();
      await query.addColumn("users", "motto", { type: DataTypes.STRING, defaultValue: "none" });
      await query.addIndex("posts", ["likes"]);
      await query.renameColumn("users", "motto", "saying");
      await query.removeColumn("users", "saying");
      return query.describeTable("users");
    },
    create: async ({ countries, users }) => {
      await countries.bulkCreate([
        { code: "AT", name: "Austria" },
        { code: "FR", name: "France" },
      ]);
      const one = await users.create({ name: "Ada", country: "AT", createdAt: DAY });
      const many = Array.from({ length: 30 }, (_, n) => ({
        id: 100 + n,
        name: `user ${n % 7}`,
        country: n % 3 === 0 ? "AT" : "FR",
        visits: n,
        createdAt: DAY,
        updatedAt: DAY,
      }));
      const made = await users.bulkCreate(many);
      return [one.get("name"), one.get("visits"), plain(made)];
    },
    "children, in one statement for many parents": async ({ posts, comments }) => {
      const made = Array.from({ length: 40 }, (_, n) => ({
        userId: 100 + (n % 20),
        number: n,
        title: `post ${n}`,
        meta: { tags: [n % 2 === 0 ? "even" : "odd"] },
        likes: n % 5,
      }));
      await posts.bulkCreate(made);
      await comments.bulkCreate(
        made.map(({ userId, number }) => ({
          userId,
          post: number,
          number: 1,
          text: `on ${number}`,
        })),
      );
      return [await posts.count(), await comments.count()];
    },
    "by key": async ({ users }) => {
      const found = await users.findByPk(104);
      return found?.get({ plain: true }) as unknown;
    },
    "eager loading by joins": async ({ users }) =>
      plain(
        await users.findAll({
          where: { id: { [Op.between]: [100, 110] } },
          include: [
            { association: "posts", where: { likes: { [Op.gt]: 0 } }, required: false },
            { association: "home", required: true },
          ],
          order: [
            ["id", "ASC"],
            ["posts", "number", "ASC"],
          ],
        }),
      ),
    "eager loading by queries of its own": async ({ users }) =>
      plain(
        await users.findAll({
          where: { id: [100, 105, 115] },
          include: [
            { association: "posts", separate: true, order: [["number", "DESC"]], limit: 1 },
          ],
          order: ["id"],
        }),
      ),
    "pages of parents with their children": async ({ users }) => {
      const { count, rows } = await users.findAndCountAll({
        where: { id: { [Op.gte]: 100 } },
        include: [{ association: "posts" }],
        distinct: true,
        order: [
          ["name", "ASC"],
          ["id", "ASC"],
          ["posts", "number", "ASC"],
        ],
        limit: 6,
        offset: 6,
      });
      return [count, plain(rows)];
    },
    "children with their parents": async ({ posts }) =>
      plain(
        await posts.findAll({
          include: [{ association: "author", include: ["home"] }],
          where: { likes: 4 },
          order: ["number"],
        }),
      ),
    "aggregates and groups": async ({ posts, users }) => [
      await users.max("visits"),
      await users.sum("visits", { where: { country: "AT" } }),
      await users
        .count({ group: ["country"] })
        .then((rows) =>
          rows.toSorted((a, b) => String(a["country"]).localeCompare(String(b["country"]))),
        ),
      plain(
        await posts.findAll({
          attributes: [
            "userId",
            [fn("count", col("number")), "n"],
            [fn("coalesce", fn("sum", col("likes")), 0), "likes"],
          ],
          group: ["userId"],
          having: literal("count(*) > 1"),
          order: [
            [literal("n"), "DESC"],
            ["userId", "ASC"],
          ],
        }),
      ),
    ],
    "sub-selects as literals": async ({ users }) =>
      plain(
        await users.findAll({
          attributes: [
            "id",
            [literal('(SELECT count(*) FROM posts WHERE posts.user_id = "user".id)'), "posts"],
          ],
          where: { id: { [Op.in]: literal("(SELECT user_id FROM posts WHERE likes = 4)") } },
          order: ["id"],
        }),
      ),
    json: async ({ posts }) =>
      plain(
        await posts.findAll({
          where: { meta: { [Op.contains]: { tags: ["odd"] } } },
          order: ["number"],
          limit: 3,
        }),
      ),
    update: async ({ users, posts }) => {
      const found = await users.findByPk(103);
      await found?.update({ name: "changed" });
      await found?.increment("visits", { by: 5 });
      await found?.reload();
      const [changed, rows] = await posts.update(
        { likes: 9 },
        { where: { userId: 103 }, returning: true },
      );
      return [
        found?.get("name"),
        found?.get("visits"),
        changed,
        plain(rows),
        await users.update({ visits: 1 }, { where: { visits: { [Op.gt]: 20 } } }),
      ];
    },
    "upsert, findOrCreate": async ({ users, countries }) => {
      const [row, isNew] = await countries.findCreateFind({
        where: { code: "IT" },
        defaults: { name: "Italy" },
      });
      const [again, isNewAgain] = await users.findOrCreate({
        where: { id: 104 },
        defaults: { name: "never" },
      });
      const [upserted] = await users.upsert({ id: 105, name: "again", createdAt: DAY });
      return [row.get("name"), isNew, again.get("name"), isNewAgain, upserted.get("name")];
    },
    "a transaction that commits": ({ db, users, posts }) =>
      db.transaction(async (transaction) => {
        await users.create({ id: 600, name: "in transaction" }, { transaction });
        await posts.create({ userId: 600, number: 1, title: "first" }, { transaction });
        const row = await users.findByPk(600, { transaction, lock: transaction.LOCK.UPDATE });
        return row?.get("name");
      }),
    "a transaction that rolls back": async ({ db, users }) => [
      await failureOf(
        db.transaction(async (transaction) => {
          await users.create({ id: 700, name: "gone" }, { transaction });
          await users.create({ id: 100, name: "taken" }, { transaction });
        }),
      ),
      await users.count({ where: { id: 700 } }),
    ],
    "a violated foreign key": ({ posts }) =>
      failureOf(posts.create({ userId: 123_456, number: 1, title: "orphan" })),
    "delete, with what hangs on it": async ({ users, posts, comments }) => [
      await users.destroy({ where: { id: 101 } }),
      await posts.count({ where: { userId: 101 } }),
      await comments.count(),
      await posts.destroy({ where: { likes: 0 } }),
    ],
    "raw queries with replacements and binds": async ({ db }) => [
      await db
        .query("SELECT name FROM users WHERE id IN (:ids) ORDER BY id", {
          replacements: { ids: [100, 102] },
        })
        .then(([rows]) => rows),
      await db
        .query("SELECT name FROM users WHERE id = $1", { bind: [104] })
        .then(([rows]) => rows),
    ],
    truncate: async ({ comments }) => {
      await comments.truncate();
      return comments.count();
    },
  },
  {
    // A new row is made by a function in pg_temp, where no map can tell what it writes.
    "findOrCreate of a new row; findCreateFind makes it without": ({ users }) =>
      users.findOrCreate({ where: { id: 901 }, defaults: { name: "new" } }),
  },
);
