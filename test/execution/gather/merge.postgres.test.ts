/**
 * ORDER BY of several keys against a server: each shard's rows come from the server, sorted
 * as the statement says; merged they must be the rows of the server's own ORDER BY.
 */
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { gatherRows } from "../../../proxy/execution/gather/gather.ts";
import { startPostgres } from "../../support/postgres.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { collect, column, HandShard, NO_TYPES } from "./shards-by-hand.ts";

const SHARDS = 5;
const COLUMNS = ["a", "b", "c", "d", "id"] as const;
/** Fixed, so that a failure is the same again. */
const SEED = 20_260_722;
const RAW = { getTypeParser: () => (value: string) => value };

let server: TestPostgres;
let client: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  client = await server.connect();
  // Few distinct values, so that each key has many ties for the next one to decide.
  await client.query(`
    SET timezone = 'America/New_York';
    SELECT setseed(0.5);
    CREATE TABLE t AS
      SELECT id, (random() * ${SHARDS - 1})::int AS shard,
        CASE WHEN random() < 0.9 THEN (random() * 4 - 2)::int END AS a,
        CASE WHEN random() < 0.9 THEN round((random() * 3)::numeric, (random() * 2)::int) END AS b,
        CASE WHEN random() < 0.9 THEN (ARRAY['a', 'B', 'é', 'ab', ''])[1 + (random() * 4)::int] END AS c,
        CASE WHEN random() < 0.9 THEN timestamptz '2026-11-01 00:00' + (random() * 5)::int * interval '30 min' END AS d
      FROM generate_series(1, 3000) id`);
});

afterAll(async () => {
  await client?.end();
  await server?.stop();
});

const key = fc.record({
  column: fc.nat(3),
  descending: fc.boolean(),
  nullsFirst: fc.boolean(),
  collation: fc.constant("byte order" as const),
});
const statement = fc.record({
  keys: fc.array(key, { minLength: 1, maxLength: 4 }),
  offset: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
  count: fc.option(fc.integer({ min: 0, max: 4000 }), { nil: undefined }),
  hidden: fc.nat(2),
});

test("merged rows are the rows of one server's ORDER BY", async () => {
  await fc.assert(
    fc.asyncProperty(statement, async ({ keys, offset, count, hidden }) => {
      // The id last makes the order total, so that rows can be compared one by one.
      const sort = [...keys, { ...total, column: 4 }];
      const orderBy = sort.map(orderByItem).join(", ");
      const columns = [...COLUMNS].toReversed().slice(0, COLUMNS.length - hidden);
      const visible = columns.map((name) => `${name} AS v${name}`);
      const limit = `${offset === undefined ? "" : ` OFFSET ${offset}`}${count === undefined ? "" : ` LIMIT ${count}`}`;
      const whole = await query(`SELECT ${visible.join(", ")} FROM t ORDER BY ${orderBy}${limit}`);

      const shards: HandShard[] = [];
      for (let shard = 0; shard < SHARDS; shard++) {
        const part = await query(
          `SELECT ${[...visible, ...COLUMNS].join(", ")} FROM t WHERE shard = ${shard} ORDER BY ${orderBy}`,
        );
        const described = part.typeOids.map((oid, index) => column(`v${index}`, oid));
        const half = Math.floor(part.rows.length / 2);
        const runs = [part.rows.slice(0, half), part.rows.slice(half)];
        shards.push(new HandShard(`shard ${shard}`, described, runs));
      }
      const hiddenKeys = sort.map((one) => ({ ...one, column: one.column + visible.length }));
      const gathered = await collect(
        gatherRows(
          {
            kind: "gather",
            gather: {
              kind: "merge",
              sort: hiddenKeys,
              hiddenColumns: COLUMNS.length,
              limit: undefined,
            },
            offset: BigInt(offset ?? 0),
            count: count === undefined ? undefined : BigInt(count),
          },
          shards,
          whole.typeOids.map((oid, index) => column(`v${index}`, oid)),
          { types: NO_TYPES, bytesMax: 1 << 20 },
        ),
      );
      const latin1 = (value: string | null) => value && Buffer.from(value).toString("latin1");
      expect(gathered).toEqual(whole.rows.map((row) => row.map(latin1)));
    }),
    { seed: SEED, numRuns: 40 },
  );
});

const total = { descending: false, nullsFirst: false, collation: "byte order" } as const;

function orderByItem(one: { column: number; descending: boolean; nullsFirst: boolean }): string {
  const name = COLUMNS[one.column] ?? "id";
  const collate = name === "c" ? ' COLLATE "C"' : "";
  return `t.${name}${collate} ${one.descending ? "DESC" : "ASC"} NULLS ${one.nullsFirst ? "FIRST" : "LAST"}`;
}

async function query(sql: string): Promise<{ rows: (string | null)[][]; typeOids: number[] }> {
  const result = await client.query<(string | null)[]>({
    text: sql,
    rowMode: "array",
    types: RAW,
  });
  return { rows: result.rows, typeOids: result.fields.map(({ dataTypeID }) => dataTypeID) };
}
