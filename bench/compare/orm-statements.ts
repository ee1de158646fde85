/**
 * Statements as object-relational mappers write them, no two of the same text: joins that are eagerly
 * loaded, lists of other lengths, other columns each time. Every text names one shard by `$1`.
 */

export const ORM_SCHEMA = `
  CREATE TABLE users (id bigint PRIMARY KEY, name text, country text);
  CREATE TABLE orders (user_id bigint, id bigint, placed timestamptz, total numeric, PRIMARY KEY (user_id, id));
  CREATE TABLE items (user_id bigint, order_id bigint, line integer, product bigint, PRIMARY KEY (user_id, order_id, line));`;

export const ORM_USERS = 1_000;

export const ORM_ROWS = `
  INSERT INTO users SELECT n, 'user ' || n, 'at' FROM generate_series(0, ${ORM_USERS - 1}) AS n;
  INSERT INTO orders SELECT n, o, now(), o FROM generate_series(0, ${ORM_USERS - 1}) AS n, generate_series(1, 3) AS o;
  INSERT INTO items SELECT n, o, 1, o FROM generate_series(0, ${ORM_USERS - 1}) AS n, generate_series(1, 3) AS o;`;

type Template = (nonce: number) => string;

/** In the proportions of a web application: mostly reads, of which every third joins. */
const TEMPLATES: readonly Template[] = [
  (nonce) =>
    `SELECT "u0"."id" AS "u0_id_${nonce}", "u0"."name" AS "u0_name", "u0"."country" AS "u0_country" FROM "users" AS "u0" WHERE "u0"."id" = $1 LIMIT 1`,
  (nonce) =>
    `SELECT "orders"."id", "orders"."placed", "orders"."total" FROM "orders" AS "orders" WHERE "orders"."user_id" = $1 AND "orders"."id" IN (${listOf(nonce)}) ORDER BY "orders"."id" ASC`,
  (nonce) =>
    `SELECT "u"."id", "u"."name", "o"."id" AS "orders_${nonce}__id", "o"."total" AS "orders__total" FROM "users" "u" LEFT OUTER JOIN "orders" "o" ON "o"."user_id" = "u"."id" WHERE "u"."id" = $1 ORDER BY "o"."id" DESC`,
  (nonce) =>
    `SELECT count(*) AS "count_${nonce}" FROM "orders" WHERE "orders"."user_id" = $1 AND "orders"."total" > ${nonce % 97}`,
  (nonce) =>
    `SELECT "t0"."id" AS "c0_${nonce}", "t1"."line" AS "c1", "t1"."product" AS "c2" FROM "orders" "t0" INNER JOIN "items" "t1" ON "t1"."user_id" = "t0"."user_id" AND "t1"."order_id" = "t0"."id" WHERE ("t0"."user_id" = $1 AND "t0"."total" >= 0) LIMIT 20`,
  (nonce) =>
    `UPDATE "orders" SET "total" = ${nonce}, "placed" = now() WHERE "orders"."user_id" = $1 AND "orders"."id" = 1 RETURNING "orders"."id", "orders"."total"`,
  (nonce) =>
    `INSERT INTO "orders" ("user_id", "id", "placed", "total") VALUES ($1, ${4 + (nonce % 4)}, now(), ${nonce}) ON CONFLICT ("user_id", "id") DO UPDATE SET "total" = excluded."total" RETURNING "id"`,
];

/** @param nonce another one makes another text */
export function ormStatement(nonce: number): string {
  const template = TEMPLATES[nonce % TEMPLATES.length] as Template;
  return template(nonce);
}

/** Between two and nine numbers, of which the last is new. */
function listOf(nonce: number): string {
  const numbers = Array.from({ length: 1 + (nonce % 8) }, (_, index) => index + 1);
  return [...numbers, 1_000 + nonce].join(", ");
}
