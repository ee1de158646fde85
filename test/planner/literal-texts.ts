/** What the tests of texts that differ in their literals plan with. */
import { catalogFromSql } from "../../planner/catalog-from-sql.ts";
import { LiteralTemplates } from "../../planner/literal-templates.ts";
import type { LogicalPlan } from "../../planner/logical-plan.ts";
import { loadParser, parseSql } from "../../planner/parse.ts";
import { bindPlan } from "../../planner/physical-plan.ts";
import type { Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { planStatement } from "../../planner/plan.ts";
import { parseShardMap } from "../../shardmap/schema.ts";

await loadParser();

const SCHEMA = `
  CREATE TABLE users (id bigint PRIMARY KEY, name text, age integer);
  CREATE TABLE orders (user_id bigint, id bigint, total numeric, PRIMARY KEY (user_id, id));
  CREATE TABLE tiny (id smallint PRIMARY KEY, name text);
  CREATE TABLE words (word text PRIMARY KEY, n integer);
  CREATE TABLE notes (user_id bigint NOT NULL DEFAULT 5, id bigint GENERATED ALWAYS AS IDENTITY, body text, at timestamptz DEFAULT now());
  CREATE VIEW named AS SELECT id, name FROM users;`;

const parsed = parseShardMap(
  `
version: 1
catalog: a
databases: { a: { primary: postgres://127.0.0.1/a }, b: { primary: postgres://127.0.0.1/b } }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id, orders: user_id, notes: user_id }
    placements: [{ shards: 0-3, database: a }, { shards: 4-5, database: b }, { shards: 6-7, database: b, schema: far }]
  tiny: { shard_key: smallint, function: hash, logical_shards: 2, tables: { tiny: id }, placements: [{ shards: 0, database: a }, { shards: 1, database: b }] }
  words: { shard_key: text, function: hash, logical_shards: 2, tables: { words: word }, placements: [{ shards: 0, database: a }, { shards: 1, database: b }] }
`,
  "map",
);
if (!("map" in parsed)) throw new Error("the map is valid");
export const { map } = parsed;

export const CONTEXT: PlanContext = {
  map,
  catalog: catalogFromSql(SCHEMA, { schema: "public" }),
  searchPath: ["public"],
  parameterTypes: [],
  user: "app",
};

/** Throws SqlError where it is refused. */
export function planned(text: string, context: PlanContext = CONTEXT): LogicalPlan {
  const outcome = parseSql(text);
  const statement = outcome.kind === "statements" ? outcome.statements[0] : undefined;
  if (statement === undefined) throw new Error(`not one statement: ${text}`);
  return planStatement(statement, context);
}

export function bound(plan: LogicalPlan | undefined): PhysicalPlan | undefined {
  return plan?.kind === "query" ? bindPlan(plan, [], map, []) : undefined;
}

/** What was learned of the text with this number in the place of `#`. */
export function taught(text: string, number = "17"): LiteralTemplates {
  const templates = new LiteralTemplates();
  const first = text.replace("#", number);
  templates.learn(first, CONTEXT, planned(first));
  return templates;
}

/** What all texts of the template share tells of the fragment of this one, the parts of its text included. */
export function keyedFragment(templates: LiteralTemplates, text: string): Fragment | undefined {
  const keyed = templates.keyed(text, CONTEXT);
  const bytes = Buffer.from(`before${text}behind`);
  const at = keyed?.place(bytes, "before".length, bytes.length - "behind".length);
  if (keyed === undefined || at === undefined) return undefined;
  const { placement, pieces } = at;
  const full = keyed.rendered(placement, text);
  if (full === undefined) return undefined;
  const { original, shifts, schemas } = full;
  const sql = pieces === undefined ? text.replace(/[\s;]+$/, "") : sent(pieces, keyed.spans, bytes);
  const { database, id } = placement;
  const rendered = { sql, original, shifts, schemas };
  return { database, placementIds: [id], rendered, rowIndexes: undefined };
}

function sent(pieces: readonly Buffer[], spans: Int32Array, bytes: Buffer): string {
  const literals = pieces.map((_, index) =>
    bytes.toString("utf8", spans[2 * index], spans[2 * index + 1]),
  );
  return pieces
    .map((piece, index) => `${piece.toString()}${index + 1 < pieces.length ? literals[index] : ""}`)
    .join("");
}
