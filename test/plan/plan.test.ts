/** The planner's specification: every file of testdata, against one map and schema. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { SqlError } from "../../base/sql-error.ts";
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import type { QueryPlan } from "../../planner/logical-plan.ts";
import { loadParser, parseSql, type ParsedStatement } from "../../planner/parse.ts";
import { bindPlan, type BoundParameter } from "../../planner/physical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { dataDriven, type DataCase } from "./datadriven.ts";
import { printError, printPhysical, printPlan } from "./print-plan.ts";

await loadParser();

const TESTDATA = join(import.meta.dirname, "testdata");
const parsedMap = parseShardMap(readFileSync(join(TESTDATA, "map.yaml"), "utf8"), "map.yaml");
if ("problems" in parsedMap) throw new Error(JSON.stringify(parsedMap.problems));
const { map } = parsedMap;
const schema = readFileSync(join(TESTDATA, "schema.sql"), "utf8");

const OIDS: Readonly<Record<string, number>> = {
  bigint: 20,
  smallint: 21,
  integer: 23,
  text: 25,
  varchar: 1043,
  numeric: 1700,
  float8: 701,
  uuid: 2950,
  unknown: 0,
  "bigint[]": 1016,
  "integer[]": 1007,
  "text[]": 1009,
  "numeric[]": 1231,
};

for (const file of readdirSync(TESTDATA)) {
  if (!/[.]/.test(file)) dataDriven(join(TESTDATA, file), run);
}

function run(data: DataCase): string {
  try {
    return data.command === "bind" ? runBind(data) : runPlan(data);
  } catch (error) {
    if (error instanceof SqlError && option(data, "expect") !== undefined) throw error;
    return printError(error);
  }
}

function runPlan(data: DataCase): string {
  const plan = planStatement(onlyStatement(data.input), contextOf(data));
  const rule = "rule" in plan ? plan.rule : plan.kind;
  const wanted = option(data, "expect");
  if (wanted !== undefined) expect(rule).toBe(wanted);
  const unwanted = option(data, "expect-not");
  if (unwanted !== undefined) expect(rule).not.toBe(unwanted);
  return printPlan(plan);
}

function runBind(data: DataCase): string {
  const context = contextOf(data);
  const plan = planStatement(onlyStatement(data.input), context) as QueryPlan;
  const parameters = data.options.flatMap(([name, value]) =>
    name.startsWith("$") ? [parameter(value)] : [],
  );
  const bound = bindPlan(plan, parameters, map, []);
  for (const { fragments } of [bound, ...bound.pulls])
    for (const { rendered } of fragments) expectStatement(rendered.sql);
  return printPhysical(bound);
}

/** What is spliced together is one statement still. */
function expectStatement(sql: string): void {
  const parsed = parseSql(sql);
  expect(parsed.kind === "statements" ? parsed.statements.length : sql).toBe(1);
}

/** `42:bigint`; NULL has no type. */
function parameter(written: string): BoundParameter {
  const at = written.lastIndexOf(":");
  const typeOid = OIDS[at < 0 ? "unknown" : written.slice(at + 1)] ?? 0;
  const text = at < 0 ? written : written.slice(0, at);
  return { typeOid, format: "text", value: text === "NULL" ? null : Buffer.from(text) };
}

/** `types=bigint,text` declares parameters; `path=shard_3,public` is the search_path; `collation=C` the database's default. */
function contextOf(data: DataCase): PlanContext {
  const types = option(data, "types");
  return {
    map,
    catalog: catalogFromSql(schema, {
      schema: "public",
      isByteOrder: option(data, "collation") === "C",
    }),
    searchPath: option(data, "path")?.split(",") ?? ["$user", "public"],
    parameterTypes: types === undefined ? [] : types.split(",").map((name) => OIDS[name] ?? 0),
    user: "app",
  };
}

function option({ options }: DataCase, wanted: string): string | undefined {
  return options.find(([name]) => name === wanted)?.[1];
}

function onlyStatement(sql: string): ParsedStatement {
  const outcome = parseSql(sql);
  const [statement] = outcome.kind === "statements" ? outcome.statements : [];
  if (statement === undefined) throw new Error(`not one statement: ${sql}`);
  return statement;
}
