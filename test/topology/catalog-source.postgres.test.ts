/** The catalog of a real server, field by field. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import { CatalogSource, loadCatalog } from "../../proxy/topology/catalog-source.ts";
import type { Catalog, CatalogColumn, CatalogRelation } from "../../shardmap/catalog.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { SCHEMA } from "./every-kind-of-object.ts";

const MAIN = databaseName("main");

let server: TestPostgres;
let backends: Backends;
let catalog: Catalog;

beforeAll(async () => {
  server = await startPostgres({ databases: ["main"] });
  await server.query("main", `SET datestyle = 'German'; ${SCHEMA}`);
  await server.query("postgres", `ALTER DATABASE main SET datestyle = 'German'`);
  backends = new Backends(new Map([[MAIN, parseBackendAddress(server.url("main"))]]), {
    pool: { size: 2 },
    drainMs: 100,
  });
  catalog = await new CatalogSource(backends).load(MAIN);
});

afterAll(async () => {
  await backends.close();
  await server.stop();
});

function relation(name: string, schema = "public"): CatalogRelation {
  const found = catalog.relations.get(schema)?.get(name);
  if (found === undefined) throw new Error(`no relation ${schema}.${name}`);
  return found;
}

function column(table: string, name: string): CatalogColumn {
  const found = relation(table).columns.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no column ${table}.${name}`);
  return found;
}

function typeOf(name: string, schema = "app") {
  return [...catalog.types.values()].find((type) => type.schema === schema && type.name === name);
}

describe("a view's text is what it was last made", () => {
  /** What changes the text, or what is between the lines of it: a name, a label, a column that would be ambiguous. */
  const CHANGES = [
    "CREATE OR REPLACE VIEW texts.seen AS SELECT o.id, texts.twice(o.n) AS n, o.m = 'happy'::texts.mood AS is_happy FROM texts.one o JOIN texts.two t USING (id) WHERE o.id > 1",
    "ALTER TABLE texts.one RENAME n TO number",
    "ALTER TABLE texts.two ADD COLUMN number int",
    "ALTER TABLE texts.two RENAME TO other",
    "ALTER TYPE texts.mood RENAME VALUE 'happy' TO 'glad'",
    "ALTER TYPE texts.mood RENAME TO feeling",
    "ALTER FUNCTION texts.twice(int) RENAME TO doubled",
    "ALTER VIEW texts.seen RENAME COLUMN is_happy TO is_glad",
    "ALTER SCHEMA texts RENAME TO words",
    "ALTER VIEW words.seen SET SCHEMA app",
  ];

  test("by a source that has read it before", async () => {
    await server.query(
      "main",
      `CREATE SCHEMA texts; CREATE TYPE texts.mood AS ENUM ('happy');
       CREATE FUNCTION texts.twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
       CREATE TABLE texts.one (id int, n int, m texts.mood); CREATE TABLE texts.two (id int);
       CREATE VIEW texts.seen AS SELECT o.id, texts.twice(o.n) AS n, o.m = 'happy'::texts.mood AS is_happy FROM texts.one o JOIN texts.two t USING (id)`,
    );
    const source = new CatalogSource(backends);
    await source.load(MAIN);
    const views = async (from: CatalogSource) =>
      [...(await from.load(MAIN)).relations].flatMap(([schema, relations]) =>
        [...relations.values()].map(({ name, view, columns }) => [
          schema,
          name,
          view?.query,
          columns.map((each) => each.name),
        ]),
      );
    for (const change of CHANGES) {
      const before = await views(source);
      await server.query("main", change);
      const after = await views(source);
      expect(after, change).toEqual(await views(new CatalogSource(backends)));
      expect(after, change).not.toEqual(before);
    }
    await server.query("main", "DROP VIEW app.seen; DROP SCHEMA words CASCADE");
  });
});

describe("relations", () => {
  test("user schemas are there, empty ones too, and system schemas are not", () => {
    expect([...catalog.relations.keys()].toSorted()).toEqual(["Odd.Name", "app", "public"]);
  });

  test("kinds", () => {
    const kinds = ["users", "recent", "stored", "events", "users_id_seq"].map(
      (name) => relation(name).kind,
    );
    expect(kinds).toEqual(["table", "view", "materialized view", "partitioned table", "sequence"]);
    expect(relation("pair", "app").kind).toBe("other");
  });

  test("a view has its query, in which every name has its schema", () => {
    expect(relation("recent").view).toEqual({
      query: expect.stringMatching(/^ SELECT user_id,\s+number\s+FROM public\.orders$/) as unknown,
      isReadable: true,
    });
    expect(relation("stored").view?.query).toMatch(/^ SELECT 1 AS one$/);
    expect(relation("orders").view).toBeUndefined();
  });

  test("columns keep their attribute numbers past a dropped one", () => {
    expect(relation("users").columns.map(({ name, number }) => [name, number])).toEqual([
      ["id", 1],
      ["email", 3],
      ["name", 4],
      ["code", 5],
    ]);
    expect(column("users", "email")).toMatchObject({
      typeOid: 1043,
      typmod: 84,
      notNull: true,
      collationOid: 100,
    });
    expect(column("users", "code").notNull).toBe(false);
  });

  test("keys: expression and partial indexes are unique, but not on columns", () => {
    expect(relation("users").primaryKey).toEqual(["id"]);
    expect(relation("orders").primaryKey).toEqual(["number", "user_id"]);
    const keys = new Map(relation("users").uniqueKeys.map((key) => [key.name, key.columns]));
    expect(keys).toEqual(
      new Map<string, readonly string[] | undefined>([
        ["users_pkey", ["id"]],
        ["users_email_key", ["email"]],
        ["users_lower", undefined],
        ["users_some", undefined],
        ["users_including", ["code", "id"]],
      ]),
    );
  });

  test("foreign keys, triggers, rules, row security, inheritance", () => {
    expect(relation("orders").foreignKeys).toEqual([
      {
        name: "orders_user_id_fkey",
        columns: ["user_id"],
        referencedSchema: "public",
        referencedTable: "users",
        referencedColumns: ["id"],
      },
    ]);
    expect(relation("orders")).toMatchObject({
      triggers: [
        {
          name: "guard",
          functionName: "app.refuse",
          isForEachRow: false,
          conditionCalls: new Set(),
          body: { reachesTables: true, isOpaque: false },
        },
        {
          name: "stamp",
          functionName: "app.fire",
          isForEachRow: true,
          conditionCalls: expect.any(Set) as unknown,
          body: { reachesTables: false, replacesRow: false },
        },
        {
          name: "same",
          functionName: "pg_catalog.suppress_redundant_updates_trigger",
          isForEachRow: true,
          body: { reachesTables: false, replacesRow: false },
        },
      ].toSorted((left, right) => (left.name < right.name ? -1 : 1)),
      hasRules: true,
      hasRowSecurity: true,
    });
    expect(relation("users")).toMatchObject({
      triggers: [],
      hasRules: false,
      hasRowSecurity: false,
    });
    expect(relation("recent").hasRules).toBe(false);
    expect(relation("events_2026").isInherited).toBe(true);
    expect(relation("events").isInherited).toBe(false);
  });
});

describe("fills", () => {
  const cases: readonly (readonly [string, CatalogColumn["fill"]])[] = [
    ["plain", { kind: "null" }],
    ["by_serial", { kind: "sequence", schema: "public", sequence: "fills_by_serial_seq" }],
    ["by_nextval", { kind: "sequence", schema: "Odd.Name", sequence: `it's "a" seq` }],
    ["late_bound", { kind: "sequence", schema: "app", sequence: "second" }],
    ["late_unqualified", { kind: "expression", sql: "nextval(('second'::text)::regclass)" }],
    ["twice", { kind: "expression", sql: "(nextval('app.second'::regclass) * 2)" }],
    ["always", { kind: "identity", always: true, schema: "public", sequence: "fills_always_seq" }],
    ["by_default", { kind: "identity", always: false, schema: "public", sequence: "own_identity" }],
    ["uuid", { kind: "randomUuid" }],
    ["zero", { kind: "constant", text: "0" }],
    ["negative", { kind: "constant", text: "-5" }],
    ["fraction", { kind: "constant", text: "1.50" }],
    ["rounded", { kind: "expression", sql: "1.50" }],
    ["yes", { kind: "constant", text: "true" }],
    ["word", { kind: "constant", text: "it's \\ here" }],
    ["short", { kind: "constant", text: "abc" }],
    ["nothing", { kind: "null" }],
    ["day", { kind: "constant", text: "2026-12-31" }],
    ["pause", { kind: "constant", text: "P-1DT2H3M" }],
    ["mood", { kind: "constant", text: "happy" }],
    ["list", { kind: "constant", text: "{}" }],
    ["document", { kind: "constant", text: '{"a": 1}' }],
    ["now", { kind: "expression", sql: "now()" }],
    ["called", { kind: "expression", sql: "app.next_text()" }],
    ["scored", { kind: "expression", sql: "7" }],
    ["doubled", { kind: "generated" }],
  ];

  test.each(cases)("%s", (name, fill) => {
    expect(column("fills", name).fill).toEqual(fill);
  });

  test("every column has its case", () => {
    expect(cases.map(([name]) => name)).toEqual(relation("fills").columns.map(({ name }) => name));
  });

  test("a constant, cast by the server to the column's type, is what the default gives", async () => {
    const given = await server.query("main", "INSERT INTO fills (late_unqualified) VALUES (1)");
    for (const [name, fill] of cases) {
      if (fill.kind !== "constant") continue;
      const { rows } = await server.query(
        "main",
        `SELECT (SELECT ${name} FROM fills LIMIT 1) IS NOT DISTINCT FROM $1::${
          name === "mood" ? "app.mood" : `text::${typeNames.get(name) ?? "text"}`
        } AS same`,
        [fill.text],
      );
      expect([name, rows[0]?.["same"]]).toEqual([name, true]);
    }
    expect(given.rowCount).toBe(1);
  });
});

const typeNames = new Map([
  ["zero", "integer"],
  ["negative", "bigint"],
  ["fraction", "numeric(6,2)"],
  ["yes", "boolean"],
  ["short", "varchar(10)"],
  ["day", "date"],
  ["pause", "interval"],
  ["list", "text[]"],
  ["document", "jsonb"],
]);

describe("types, functions, collations", () => {
  test("enum labels stand in their sort order", () => {
    expect(typeOf("mood")).toMatchObject({
      kind: "enum",
      labels: ["sad", "meh", "ok", "happy"],
      category: "E",
    });
  });

  test("arrays, domains, composites, ranges and built-in types", () => {
    expect(typeOf("_mood")?.elementOid).toBe(typeOf("mood")?.oid);
    expect(typeOf("score")).toMatchObject({ kind: "domain", baseOid: 23 });
    expect(typeOf("pair")?.kind).toBe("composite");
    expect(typeOf("span")?.kind).toBe("range");
    expect(typeOf("spanmultirange", "app") ?? typeOf("span_multirange", "app")).toMatchObject({
      kind: "multirange",
    });
    expect(catalog.types.get(1007)).toMatchObject({ name: "_int4", elementOid: 23, labels: [] });
    expect(catalog.types.get(600)).toMatchObject({ name: "point", elementOid: 0 });
    expect(catalog.types.get(25)).toMatchObject({ name: "text", collationOid: 100 });
  });

  test("functions: every overload of users, and what is not immutable of PostgreSQL's own", () => {
    expect(catalog.functions.get("plus")).toMatchObject([
      { schema: "app", name: "plus", kind: "function", volatility: "immutable", language: "sql" },
      { schema: "app", name: "plus", kind: "function", volatility: "stable", language: "plpgsql" },
    ]);
    expect(catalog.functions.get("plus")?.map(({ body }) => body?.reachesTables)).toEqual([
      false,
      undefined,
    ]);
    for (const name of ["lies", "atomic"])
      expect(catalog.functions.get(name)?.[0]?.body?.reachesTables).toBe(true);
    expect(catalog.functions.get("act")?.[0]?.kind).toBe("procedure");
    expect(catalog.functions.get("total")?.[0]?.kind).toBe("aggregate");
    expect(catalog.functions.get("random")?.[0]).toMatchObject({
      schema: "pg_catalog",
      volatility: "volatile",
    });
    expect(catalog.functions.get("now")?.[0]?.volatility).toBe("stable");
    expect(catalog.functions.has("abs")).toBe(false);
  });

  test("collations say whether they are deterministic and order by bytes", () => {
    expect(catalog.collations.get(950)).toMatchObject({
      name: "C",
      isByteOrder: true,
      isDeterministic: true,
    });
    expect(catalog.collations.get(column("users", "name").collationOid)).toMatchObject({
      name: "blind",
      isDeterministic: false,
      isByteOrder: false,
    });
    const ucsBasic = [...catalog.collations.values()].find(({ name }) => name === "ucs_basic");
    expect(ucsBasic?.isByteOrder).toBe(true);
    expect(catalog.defaultCollation.oid).toBe(100);
  });

  test("the default collation of each provider", async () => {
    const providers = [
      ["libc_c", "TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'", true],
      ["icu_en", "TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'", false],
      ["builtin_c", "TEMPLATE template0 LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'", true],
      ["latin1_c", "TEMPLATE template0 ENCODING 'LATIN2' LOCALE_PROVIDER libc LOCALE 'C'", false],
    ] as const;
    for (const [name, options, isByteOrder] of providers) {
      await server.query("postgres", `CREATE DATABASE ${name} ${options}`);
      const one = new Backends(new Map([[MAIN, parseBackendAddress(server.url(name))]]), {
        pool: {},
        drainMs: 0,
      });
      const { defaultCollation } = await new CatalogSource(one).load(MAIN);
      expect([name, defaultCollation.isByteOrder]).toEqual([name, isByteOrder]);
      await one.close();
    }
  });
});

describe("loading", () => {
  test("a later load sees what was committed before it, with a greater epoch", async () => {
    const source = new CatalogSource(backends);
    const first = source.load(MAIN);
    await server.query("main", "CREATE TABLE made_meanwhile (id integer)");
    const [second, shared] = await Promise.all([source.load(MAIN), source.load(MAIN)]);
    expect(second.relations.get("public")?.has("made_meanwhile")).toBe(true);
    expect(second.epoch).toBeGreaterThan((await first).epoch);
    expect(shared).toBe(second);
  });

  test("the connection goes back as it came", async () => {
    const connection = await backends.acquire(MAIN);
    const { rows } = await connection.query("SHOW search_path");
    expect(rows).toEqual([['"$user", public']]);
    expect(connection.transactionStatus).toBe("idle");
    backends.release(connection);
  });

  test("inside a transaction its own DDL is seen, and the transaction is left as it was", async () => {
    const connection = await backends.acquire(MAIN);
    await connection.query(
      "BEGIN; SET LOCAL search_path = app; CREATE TABLE not_committed (id integer)",
    );
    const inside = await loadCatalog(connection, 7);
    expect(inside.relations.get("app")?.has("not_committed")).toBe(true);
    expect(inside.epoch).toBe(7);
    expect(connection.transactionStatus).toBe("inTransaction");
    const { rows } = await connection.query("SHOW search_path");
    expect(rows).toEqual([["app"]]);
    await connection.query("ROLLBACK");
    expect((await loadCatalog(connection, 8)).relations.get("app")?.has("not_committed")).toBe(
      false,
    );
    backends.release(connection);
  });
});
