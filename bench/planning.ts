/** The planner by itself, for benchmarks: a map and a schema as text, statements with one bigint parameter. */
import { invariant } from "../base/invariant.ts";
import { catalogFromSql } from "../planner/catalog-from-sql.ts";
import type { InsertPlan } from "../planner/insert/insert-plan.ts";
import type { QueryPlan } from "../planner/logical-plan.ts";
import { loadParser, parseOne } from "../planner/parse.ts";
import { bindPlan } from "../planner/physical-plan.ts";
import type { PlanContext } from "../planner/plan-context.ts";
import { planStatement } from "../planner/plan.ts";
import { parseShardMap } from "../shardmap/schema.ts";

const BIGINT_OID = 20;

export type BenchPlan = QueryPlan | InsertPlan;

export class Planning {
  readonly context: PlanContext;

  private constructor(context: PlanContext) {
    this.context = context;
  }

  static async of(mapYaml: string, schema: string): Promise<Planning> {
    await loadParser();
    const parsed = parseShardMap(mapYaml, "bench map");
    invariant("map" in parsed, "the benchmark's map is valid");
    return new Planning({
      map: parsed.map,
      catalog: catalogFromSql(schema, { schema: "public" }),
      searchPath: ["public"],
      parameterTypes: [BIGINT_OID],
      user: "app",
    });
  }

  plan(text: string): BenchPlan {
    const plan = planStatement(parseOne(text), this.context);
    invariant(
      plan.kind === "query" || plan.kind === "insert",
      "the benchmark's statements are queries and inserts",
    );
    return plan;
  }

  /** `value`: the parameter's, as text. */
  bind(plan: BenchPlan, value: Buffer): void {
    const parameter = { typeOid: BIGINT_OID, format: "text", value } as const;
    const { fragments } = bindPlan(plan, [parameter], this.context.map, []);
    invariant(fragments.length === 1, "a pinned statement has one fragment");
  }
}
