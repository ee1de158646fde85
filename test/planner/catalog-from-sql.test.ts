import { beforeAll, expect, test } from "vitest";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { loadParser } from "../../planner/parse.ts";

beforeAll(loadParser);

/** As pg_dump writes a schema. */
const DUMP = `
SET client_encoding = 'UTF8';
CREATE TYPE public.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN public.code AS text;
CREATE TABLE public.users (id bigint NOT NULL, name character varying(20) COLLATE "C", mood public.mood, code public.code,
  amount numeric(10,2) DEFAULT 1.5, made timestamp with time zone DEFAULT (now() - '1 day'::interval) NOT NULL, tags text[]);
CREATE SEQUENCE public.users_id_seq;
ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;
ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);
ALTER TABLE ONLY public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE UNIQUE INDEX users_name ON public.users (name);
CREATE UNIQUE INDEX users_lower ON public.users (lower(name));
CREATE TABLE public.orders (user_id bigint, id bigint GENERATED ALWAYS AS IDENTITY);
ALTER TABLE public.orders ADD FOREIGN KEY (user_id) REFERENCES public.users;
CREATE VIEW public.v AS SELECT 1;
CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE plpgsql STABLE AS 'begin end';
`;

test("a dump gives the catalog a server would", () => {
  const catalog = catalogFromSql(DUMP, { schema: "public" });
  const users = catalog.relations.get("public")?.get("users");
  expect(
    users?.columns.map(({ name, typeOid, typmod, collationOid, notNull }) => [
      name,
      typeOid,
      typmod,
      collationOid,
      notNull,
    ]),
  ).toEqual([
    ["id", 20, -1, 0, true],
    ["name", 1043, 24, 950, false],
    ["mood", 50_000, -1, 0, false],
    ["code", 50_002, -1, 100, false],
    ["amount", 1700, 655_366, 0, false],
    ["made", 1184, -1, 0, true],
    ["tags", 1009, -1, 100, false],
  ]);
  expect(users?.columns.map(({ fill }) => fill)).toEqual([
    { kind: "sequence", schema: "public", sequence: "users_id_seq" },
    { kind: "null" },
    { kind: "null" },
    { kind: "null" },
    { kind: "constant", text: "1.5" },
    { kind: "expression", sql: "now() - '1 day'::interval" },
    { kind: "null" },
  ]);
  expect(users).toMatchObject({
    primaryKey: ["id"],
    uniqueKeys: [
      { name: "users_pkey", columns: ["id"] },
      { name: "users_name", columns: ["name"] },
      { name: "users_lower", columns: undefined },
    ],
  });
  expect(catalog.relations.get("public")?.get("orders")).toMatchObject({
    columns: [
      { name: "user_id" },
      {
        name: "id",
        notNull: true,
        fill: { kind: "identity", always: true, schema: "public", sequence: "orders_id_seq" },
      },
    ],
    foreignKeys: [{ columns: ["user_id"], referencedTable: "users", referencedColumns: ["id"] }],
  });
  expect(
    [...(catalog.relations.get("public")?.values() ?? [])]
      .map(({ name, kind }) => `${kind} ${name}`)
      .toSorted(),
  ).toEqual([
    "sequence orders_id_seq",
    "sequence users_id_seq",
    "table orders",
    "table users",
    "view v",
  ]);
  expect(catalog.types.get(50_000)).toMatchObject({
    name: "mood",
    kind: "enum",
    labels: ["sad", "ok"],
  });
  expect(catalog.functions.get("f")).toEqual([
    { schema: "public", name: "f", kind: "function", volatility: "stable", language: "plpgsql" },
  ]);
});

test("a file that is no SQL is refused with its place", () => {
  expect(() => catalogFromSql("CREATE TABL", { schema: "public" })).toThrow(
    expect.objectContaining({ id: "schema_file_invalid", position: 8 }),
  );
});
