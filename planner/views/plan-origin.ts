/** Tells a plan's texts what of them the client wrote, where views were expanded in its statement. */
import type { DatabaseGather, LogicalPlan, QueryPlan } from "../logical-plan.ts";
import type { ParsedStatement } from "../parse.ts";
import type { SqlTemplate } from "../sql-template.ts";

/** Texts of the proxy's own making keep what they have: a place in them is none of the client's. */
export function withOrigin(plan: LogicalPlan, { text, origin }: ParsedStatement): LogicalPlan {
  if (origin === undefined) return plan;
  const mark = (template: SqlTemplate): SqlTemplate =>
    template.sql === text ? { ...template, origin } : template;
  switch (plan.kind) {
    case "query":
      return queryWithOrigin(plan, mark);
    case "insert": {
      const { template } = plan;
      return { ...plan, template: { ...template, statement: mark(template.statement) } };
    }
    case "cursor": {
      const { action } = plan;
      if (action.kind !== "updateCurrent") return plan;
      return { ...plan, action: { ...action, plan: queryWithOrigin(action.plan, mark) } };
    }
    default:
      return plan;
  }
}

type Mark = (template: SqlTemplate) => SqlTemplate;

function queryWithOrigin(plan: QueryPlan, mark: Mark): QueryPlan {
  const { scatterTemplate, gather, overflowGather, scatterRefusal } = plan.several;
  return {
    ...plan,
    template: mark(plan.template),
    several: {
      scatterTemplate: scatterTemplate && mark(scatterTemplate),
      gather: gather.kind === "database" ? gatherWithOrigin(gather, mark) : gather,
      overflowGather: overflowGather && gatherWithOrigin(overflowGather, mark),
      scatterRefusal,
    },
  };
}

function gatherWithOrigin(gather: DatabaseGather, mark: Mark): DatabaseGather {
  const pulls = gather.pulls.map((pull) => ({
    ...pull,
    shape: mark(pull.shape),
    template: mark(pull.template),
  }));
  return { ...gather, pulls, finish: mark(gather.finish) };
}
