/**
 * The planner's promise, tried out: random joins and sub-selects over small tables, answered
 * by one schema that has all rows, and by the placements the plan names. Either both answers
 * are the same rows, or the planner refuses. Keys are few, so that wrong ties meet wrong rows.
 */
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SqlError } from "../../base/sql-error.ts";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import type { QueryPlan } from "../../planner/logical-plan.ts";
import { loadParser } from "../../planner/parse.ts";
import { bindPlan, type BoundPull, type PhysicalPlan } from "../../planner/physical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { integerKey } from "../../shardmap/shard-key.ts";
import { placementOf } from "../../planner/bind-keys.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { randomSelect } from "./random-select.ts";
import { onlyStatement } from "./sample-plan-context.ts";

const MAP = `
version: 1
catalog: main
databases:
  main: { primary: "postgres://app@127.0.0.1:5432/app" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 6
    tables: { users: id, orders: user_id, prefs: user_id }
    placements:
      - { shards: 0-1, database: main, schema: p0 }
      - { shards: 2-3, database: main, schema: p1 }
      - { shards: 4-5, database: main, schema: p2 }
reference_tables: [countries]
`;

const SHARDED = {
  users: "id bigint, name text, ref bigint",
  orders: "user_id bigint, id bigint, buyer bigint",
  prefs: "user_id bigint, theme bigint",
};
const COUNTRIES = "CREATE TABLE countries (id bigint, code bigint);";
const tablesSql = (schema: string): string =>
  Object.entries(SHARDED)
    .map(([name, columns]) => `CREATE TABLE ${schema}${name} (${columns});`)
    .join("\n");

const STATEMENTS = Number(process.env["STATEMENTS"] ?? 2_500);

let server: TestPostgres;
let client: pg.Client;
let context: PlanContext;

beforeAll(async () => {
  await loadParser();
  const parsed = parseShardMap(MAP, "map.yaml");
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const catalog = catalogFromSql(tablesSql("") + COUNTRIES, { schema: "public" });
  context = { map: parsed.map, catalog, searchPath: ["public"], parameterTypes: [], user: "app" };
  server = await startPostgres();
  client = await server.connect("postgres");
  await client.query(COUNTRIES + tablesSql(""));
  for (const schema of ["whole", "p0", "p1", "p2"]) {
    await client.query(`CREATE SCHEMA ${schema}; ${tablesSql(`${schema}.`)}`);
  }
  await client.query("INSERT INTO countries VALUES (1, 2), (2, 2), (3, 9), (NULL, 1)");
  await fill();
});

afterAll(async () => {
  await client.end();
  await server.stop();
});

async function fill(): Promise<void> {
  for (let id = 1; id <= 7; id++) {
    await insert("users", id, `(${id}, 'n${id % 3}', ${id % 4 === 0 ? "NULL" : (id * 3) % 8})`);
    if (id % 3 !== 0) await insert("prefs", id, `(${id}, ${id % 4})`);
    for (let n = 1; n <= id % 3; n++)
      await insert("orders", id, `(${id}, ${n}, ${n === 2 ? "NULL" : (id + n) % 8})`);
  }
  await insert("orders", 9, "(9, 1, 1)");
}

async function insert(table: string, key: number, row: string): Promise<void> {
  const colocation = context.map.colocations.get("users");
  if (colocation === undefined) throw new Error("the map has its colocation");
  const { schema } = placementOf(colocation, [integerKey(BigInt(key))]);
  await client.query(
    `INSERT INTO whole.${table} VALUES ${row}; INSERT INTO ${schema}.${table} VALUES ${row}`,
  );
}

/** Rows as texts, in an order of their own. */
async function rowsOf(searchPath: string, sql: string): Promise<readonly string[]> {
  await client.query(`SET search_path = ${searchPath}`);
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: "array" });
  return rows.map((row) => JSON.stringify(row));
}

async function answerOfPlacements({ pulls, fragments }: PhysicalPlan): Promise<readonly string[]> {
  await client.query("BEGIN");
  try {
    for (const pull of pulls) await copyRows(pull);
    const answers: string[] = [];
    for (const { rendered } of fragments) answers.push(...(await rowsOf("public", rendered.sql)));
    return answers.toSorted();
  } finally {
    await client.query("ROLLBACK");
  }
}

/** What a database gather does with a pull, in the one database that has all the placements. */
async function copyRows({ table, columns, shape, fragments, gather }: BoundPull): Promise<void> {
  if (gather.kind === "gather" && gather.gather.kind !== "concat")
    throw new Error("no statement of this test is gathered in groups");
  await client.query(
    `SET search_path = public; CREATE TEMP TABLE ${table} (${columns.join(", ")}) AS ${shape.sql} WITH NO DATA`,
  );
  for (const { rendered } of fragments)
    await client.query(`INSERT INTO pg_temp.${table} ${rendered.sql}`);
}

function planOrRefusal(sql: string): QueryPlan | SqlError {
  try {
    return planStatement(onlyStatement(sql), context) as QueryPlan;
  } catch (error) {
    if (error instanceof SqlError && error.sqlstate === "0A000") return error;
    throw error;
  }
}

/** Undefined where the keys turn out to lie in several placements, and the statement needs one. */
function bindOrSpanning(plan: QueryPlan): PhysicalPlan | undefined {
  try {
    return bindPlan(plan, [], context.map, []);
  } catch (error) {
    if (error instanceof SqlError && error.id === "statement_spans_placements") return undefined;
    throw error;
  }
}

test(
  "what is not refused is answered by the placements as by the whole",
  { timeout: 600_000 },
  async () => {
    const counts = { answered: 0, copied: 0, refused: 0, single: 0 };
    await fc.assert(
      fc.asyncProperty(randomSelect(), async (sql) => {
        const plan = planOrRefusal(sql);
        if (plan instanceof SqlError) {
          counts.refused += 1;
          return;
        }
        // What one server refuses (a LATERAL reference under RIGHT JOIN) the placements refuse too.
        const whole = await rowsOf("whole, public", sql).catch(() => undefined);
        const bound = bindOrSpanning(plan);
        if (bound === undefined) return;
        const gathered = await answerOfPlacements(bound).catch((error: unknown) => {
          if (whole === undefined) return undefined;
          throw error;
        });
        if (whole === undefined || gathered === undefined) return;
        counts.answered += 1;
        if (bound.pulls.length > 0) counts.copied += 1;
        if (plan.several.scatterRefusal !== undefined) counts.single += 1;
        expect(gathered, sql).toEqual(whole.toSorted());
      }),
      { numRuns: STATEMENTS },
    );
    console.log(
      `${counts.answered} answered (${counts.copied} over copies, ${counts.single} on one placement alone), ${counts.refused} refused`,
    );
    expect(counts.answered).toBeGreaterThan(STATEMENTS / 10);
    expect(counts.copied).toBeGreaterThan(STATEMENTS / 10);
  },
);
