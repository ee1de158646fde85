/** Two databases whose types and tables have the same names and other OIDs. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName, logicalShard } from "../../base/ids.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { Backends } from "../../proxy/backend/backends.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { decodeDataRow } from "../../proxy/protocol/backend/data-row.ts";
import { decodeErrorResponse } from "../../proxy/protocol/backend/error-response.ts";
import { decodeRowDescription } from "../../proxy/protocol/backend/row-description.ts";
import type { ColumnDescription } from "../../proxy/protocol/backend/row-description.ts";
import { runBody } from "../../proxy/protocol/backend-run-reader.ts";
import type { BackendRun } from "../../proxy/protocol/backend-run-reader.ts";
import { FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import { encodeBind } from "../../proxy/protocol/frontend/bind.ts";
import { encodeDescribe } from "../../proxy/protocol/frontend/describe.ts";
import { encodeExecute } from "../../proxy/protocol/frontend/execute.ts";
import { encodeParse } from "../../proxy/protocol/frontend/parse.ts";
import { encodeSync } from "../../proxy/protocol/frontend/sync.ts";
import { BACKEND_TYPE } from "../../proxy/protocol/message-type.ts";
import { CatalogSource } from "../../proxy/topology/catalog-source.ts";
import { OidTranslations } from "../../proxy/topology/oid-translation.ts";
import type { OidTranslator } from "../../proxy/topology/oid-translator.ts";
import type { Catalog } from "../../shardmap/catalog.ts";
import { USUAL_SEQUENCE_BLOCKS } from "../../shardmap/shard-map.ts";
import type { Colocation, Placement, ShardMap } from "../../shardmap/shard-map.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

const MAIN = databaseName("main");
const USERS = databaseName("users0");

const TYPES = `
  CREATE TYPE mood AS ENUM ('sad', 'happy');
  CREATE TYPE pair AS (number integer, mood mood);
  CREATE TYPE nest AS (inner_pair pair, moods mood[]);
  CREATE DOMAIN feelings AS mood[];
  CREATE TYPE mood_range AS RANGE (subtype = mood);
  CREATE TYPE pair_range AS RANGE (subtype = pair);
`;

let server: TestPostgres;
let backends: Backends;
let catalog: Catalog;
let translation: OidTranslator;

beforeAll(async () => {
  server = await startPostgres({ databases: ["main", "users0"] });
  await server.query("main", `${TYPES} CREATE TABLE orders (id bigint, mood mood)`);
  await server.query(
    "users0",
    `CREATE TABLE in_the_way (a integer); CREATE TYPE _mood AS ENUM ('takes the name');
     ${TYPES}
     CREATE SCHEMA shard_3; CREATE TYPE only_here AS ENUM ('x');
     CREATE TABLE shard_3.orders (gone text, id bigint, mood mood, extra text, alone only_here);
     ALTER TABLE shard_3.orders DROP COLUMN gone;
     INSERT INTO shard_3.orders VALUES (1, 'happy')`,
  );
  const addresses = new Map(
    [MAIN, USERS].map((name) => [name, parseBackendAddress(server.url(name))]),
  );
  backends = new Backends(addresses, { pool: {}, drainMs: 100 });
  catalog = await new CatalogSource(backends).load(MAIN);
  const translations = await OidTranslations.load(mapOf(), catalog, backends);
  translation = translations.of(USERS);
});

afterAll(async () => {
  await backends.close();
  await server.stop();
});

function mapOf(): ShardMap {
  const placement: Placement = {
    id: "users0.shard_3",
    database: USERS,
    schema: "shard_3",
    shards: [logicalShard(0)],
  };
  const colocation: Colocation = {
    name: "users",
    keyTypes: ["bigint"],
    function: { kind: "hash", logicalShards: 1 },
    tables: new Map([["orders", ["id"]]]),
    placements: [placement],
    placementByShard: [placement],
  };
  const entry = (name: DatabaseName) => [name, { name, server: { kind: "embedded" } }] as const;
  return {
    version: 1,
    catalog: MAIN,
    text: "",
    canonicalSchema: "public",
    databases: new Map([entry(MAIN), entry(USERS)]),
    colocations: new Map([["users", colocation]]),
    groups: new Map(),
    referenceTables: new Set(),
    coalescedTables: new Set(),
    sequenceBlocks: USUAL_SEQUENCE_BLOCKS,
    unlistedTables: "catalog",
    tables: new Map(),
  };
}

/** The catalog database's OID for a type, as a client reads it there. */
async function inCatalog(type: string): Promise<number> {
  const { rows } = await server.query("main", `SELECT $1::regtype::oid AS oid`, [type]);
  return Number(rows[0]?.["oid"]);
}

async function inUsers(type: string): Promise<number> {
  const { rows } = await server.query("users0", `SELECT $1::regtype::oid AS oid`, [type]);
  return Number(rows[0]?.["oid"]);
}

interface Answer {
  readonly columns: readonly ColumnDescription[];
  readonly rows: readonly BackendRun[];
}

/** One statement by the extended protocol, everything in binary. */
async function execute(
  database: DatabaseName,
  sql: string,
  parameterTypes: readonly number[] = [],
  parameters: readonly Buffer[] = [],
): Promise<Answer> {
  const connection = await backends.acquire(database);
  try {
    send(connection, sql, parameterTypes, parameters);
    return await receive(connection);
  } finally {
    backends.release(connection);
  }
}

function send(
  connection: BackendConnection,
  sql: string,
  parameterTypes: readonly number[],
  parameters: readonly Buffer[],
): void {
  const writer = new FrameWriter();
  encodeParse({ kind: "parse", statement: "", sql, parameterTypeOids: parameterTypes }, writer);
  encodeBind(
    {
      kind: "bind",
      portal: "",
      statement: "",
      parameterFormats: ["binary"],
      parameters,
      resultFormats: ["binary"],
    },
    writer,
  );
  encodeDescribe({ kind: "describe", target: "portal", name: "" }, writer);
  encodeExecute({ kind: "execute", portal: "", rowLimit: 0 }, writer);
  encodeSync({ kind: "sync" }, writer);
  connection.expectReady();
  connection.send(writer.take());
}

async function receive(connection: BackendConnection): Promise<Answer> {
  let columns: readonly ColumnDescription[] = [];
  const rows: BackendRun[] = [];
  let failure: string | undefined;
  while (connection.pendingReadyForQuery > 0) {
    const run = await connection.receive();
    if (run.type === BACKEND_TYPE.rowDescription)
      columns = decodeRowDescription(runBody(run)).columns;
    if (run.type === BACKEND_TYPE.dataRow) rows.push(run);
    if (run.type === BACKEND_TYPE.errorResponse)
      failure = decodeErrorResponse(runBody(run)).fields.M;
  }
  if (failure !== undefined) throw new Error(failure);
  return { columns, rows };
}

function firstRow({ rows }: Answer): readonly (Buffer | null)[] {
  const [run] = rows;
  if (run === undefined) throw new Error("no row");
  const end = 1 + run.bytes.readUInt32BE(1);
  return decodeDataRow(run.bytes.subarray(5, end)).values;
}

test("the databases do differ", async () => {
  for (const type of ["mood", "mood[]", "pair"])
    expect(await inCatalog(type)).not.toBe(await inUsers(type));
});

describe("descriptions", () => {
  test("types and the placement's table are the catalog database's", async () => {
    const { columns } = await execute(
      USERS,
      "SELECT mood, id, 1 AS one, ARRAY[mood] FROM shard_3.orders",
    );
    const { columns: expected } = await execute(
      MAIN,
      "SELECT mood, id, 1 AS one, ARRAY[mood] FROM orders",
    );
    expect(columns).not.toEqual(expected);
    expect(translation.columns(columns)).toEqual(expected);
  });

  test("a column or table that the catalog database lacks has no origin", async () => {
    const { columns } = await execute(USERS, "SELECT extra, a FROM shard_3.orders, in_the_way");
    const origins = translation
      .columns(columns)
      .map((column) => [column.tableOid, column.columnNumber]);
    expect(origins).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  test("row types of a placement's table are the canonical table's", async () => {
    const { columns } = await execute(USERS, "SELECT orders FROM shard_3.orders");
    expect(translation.columns(columns)[0]?.typeOid).toBe(await inCatalog("orders"));
  });

  test("a type that the catalog database lacks is refused", async () => {
    const { columns } = await execute(USERS, "SELECT alone FROM shard_3.orders");
    expect(() => translation.columns(columns)).toThrow(
      expect.objectContaining({
        id: "type_not_translatable",
        message:
          'type "public.only_here" of database "users0" does not exist in the catalog database',
      }),
    );
    expect(() => translation.parameterTypes([999_999])).toThrow("type with OID 999999");
  });
});

describe("parameters", () => {
  test("types go to the database in its own OIDs; built-in ones stay", async () => {
    const types = await Promise.all(
      ["mood", "mood[]", "integer", "nest", "feelings"].map(inCatalog),
    );
    const own = await Promise.all(["mood", "mood[]", "integer", "nest", "feelings"].map(inUsers));
    expect(translation.parameterTypes(types)).toEqual(own);
  });

  test.each([
    ["mood[]", "ARRAY['sad', NULL, 'happy']::mood[]"],
    ["mood[]", "ARRAY[['sad'], ['happy']]::mood[]"],
    ["mood[]", "'{}'::mood[]"],
    ["pair", "ROW(7, 'happy')::pair"],
    ["pair", "ROW(NULL, NULL)::pair"],
    ["nest", "ROW(ROW(7, 'sad')::pair, ARRAY['happy']::mood[])::nest"],
    ["nest[]", "ARRAY[ROW(ROW(7, 'sad')::pair, ARRAY['happy']::mood[])::nest]"],
    ["feelings", "ARRAY['happy']::feelings"],
    ["mood_range", "'[sad,happy]'::mood_range"],
    ["record", "ROW('sad'::mood, 1, ARRAY['sad'::mood])"],
  ])("a binary value of type %s reads as from the catalog database: %s", async (_type, value) => {
    const [own] = firstRow(await execute(MAIN, `SELECT ${value}`));
    if (own === null || own === undefined) throw new Error("no value");

    const answer = await execute(USERS, `SELECT ${value}`);
    const patch = translation.rowPatch(answer.columns);
    const [run] = answer.rows;
    const patched =
      run && patch !== undefined ? { ...answer, rows: [{ ...run, ...patch(run) }] } : answer;
    expect(firstRow(patched)[0]).toEqual(own);
  });

  test.each(["mood[]", "pair", "nest", "feelings"])(
    "a binary parameter of type %s is read whatever OIDs are in it",
    async (type) => {
      const values: Readonly<Record<string, string>> = {
        "mood[]": "ARRAY['sad', NULL, 'happy']::mood[]",
        pair: "ROW(7, 'happy')::pair",
        nest: "ROW(ROW(7, 'sad')::pair, ARRAY['happy']::mood[])::nest",
        feelings: "ARRAY['happy']::feelings",
      };
      const [own] = firstRow(await execute(MAIN, `SELECT ${values[type]}`));
      const types = translation.parameterTypes([await inCatalog(type)]);
      const taken = await execute(USERS, "SELECT $1", types, [own ?? Buffer.alloc(0)]);
      const [there] = firstRow(await execute(USERS, `SELECT ${values[type]}`));
      expect(firstRow(taken)[0]).toEqual(there);
      expect(there).not.toEqual(own);
    },
  );

  test("ranges of composite values are refused in binary", async () => {
    const answer = await execute(USERS, 'SELECT \'["(1,sad)","(2,sad)"]\'::pair_range');
    const patch = translation.rowPatch(answer.columns);
    const [run] = answer.rows;
    expect(() => run && patch?.(run)).toThrow(
      expect.objectContaining({ id: "type_not_translatable" }),
    );
  });
});

describe("rows", () => {
  test("rows without such values are not touched", async () => {
    const { columns } = await execute(USERS, "SELECT 1, 'x', ARRAY[1, 2], 'sad'::mood");
    expect(translation.rowPatch(columns)).toBeUndefined();
    const asText = columns.map((column) => ({ ...column, format: "text" as const }));
    expect(translation.rowPatch(asText)).toBeUndefined();
  });

  test("every row of a run, around columns that stay", async () => {
    const sql =
      "SELECT n, ARRAY['sad'::mood], NULL::mood[], repeat('x', n) FROM generate_series(1, 300) n";
    const there = await execute(USERS, sql);
    const here = await execute(MAIN, sql);
    const patch = translation.rowPatch(there.columns);
    const bytes = (answer: Answer, change: (run: BackendRun) => Buffer) =>
      Buffer.concat(answer.rows.map(change));
    expect(
      bytes(there, (run) => patch?.(run).bytes ?? run.bytes).equals(
        bytes(here, (run) => run.bytes),
      ),
    ).toBe(true);
  });
});

describe("a database that is down", () => {
  test("holds up no other, and is read when it is back", async () => {
    const late = databaseName("late");
    const map = mapOf();
    const databases = new Map([
      ...map.databases,
      [late, { name: late, server: { kind: "embedded" } as const }],
    ]);
    const nowhere = parseBackendAddress("postgres://a@127.0.0.1:1/x");
    const there = parseBackendAddress(server.url("users0"));
    const main = parseBackendAddress(server.url("main"));
    const own = new Backends(
      new Map([
        [MAIN, main],
        [USERS, there],
        [late, nowhere],
      ]),
      { pool: {}, drainMs: 0 },
    );
    try {
      const translations = await OidTranslations.load({ ...map, databases }, catalog, own);
      expect(translations.of(USERS).parameterTypes([23])).toEqual([23]);
      expect(() => translations.of(late)).toThrow(
        expect.objectContaining({ id: "backend_starting" }),
      );
      own.update(
        new Map([
          [MAIN, main],
          [USERS, there],
          [late, there],
        ]),
      );
      await expect
        .poll(() => {
          try {
            return translations.of(late).parameterTypes([25]);
          } catch {
            return undefined;
          }
        })
        .toEqual([25]);
    } finally {
      await own.close();
    }
  });
});
