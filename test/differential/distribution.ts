/**
 * Counts what the statements of a run are made of, and what became of them: printed with
 * every run, and held to least shares, so that nobody makes the test easy by accident.
 */
import type { Traits } from "./features.ts";

interface Share {
  answered: number;
  refused: number;
}

export interface Distribution {
  readonly statements: number;
  readonly features: ReadonlyMap<string, Share>;
  /** Statements that read or write rows of one colocation (or the group), reference tables aside. */
  readonly oneHome: Share;
  readonly oneHomeRefusals: ReadonlyMap<string, number>;
}

export class DistributionTally implements Distribution {
  readonly features = new Map<string, Share>();
  readonly oneHome: Share = { answered: 0, refused: 0 };
  readonly oneHomeRefusals = new Map<string, number>();
  statements = 0;

  /**
   * What was sent in one step. `refusal`: its reason; `undefined` where all were answered.
   * Of several statements in a refused step one was refused, and the others never run.
   */
  add(step: readonly Traits[], refusal: string | undefined): void {
    this.statements += step.length;
    for (const { features } of step)
      for (const feature of features) count(shareOf(this.features, feature), refusal);
    if (!step.every(({ isQuery, homes }) => isQuery && homes.size <= 1)) return;
    if (refusal === undefined) {
      this.oneHome.answered += step.length;
      return;
    }
    this.oneHome.refused += 1;
    this.oneHomeRefusals.set(refusal, (this.oneHomeRefusals.get(refusal) ?? 0) + 1);
  }
}

/** Of several runs together: rare features show in no one of them. */
export function together(distributions: readonly Distribution[]): Distribution {
  const sum = new DistributionTally();
  for (const { statements, features, oneHome, oneHomeRefusals } of distributions) {
    sum.statements += statements;
    for (const [feature, share] of features) add(shareOf(sum.features, feature), share);
    add(sum.oneHome, oneHome);
    for (const [reason, refused] of oneHomeRefusals)
      sum.oneHomeRefusals.set(reason, (sum.oneHomeRefusals.get(reason) ?? 0) + refused);
  }
  return sum;
}

function add(share: Share, { answered, refused }: Share): void {
  share.answered += answered;
  share.refused += refused;
}

function shareOf(shares: Map<string, Share>, name: string): Share {
  const share = shares.get(name) ?? { answered: 0, refused: 0 };
  shares.set(name, share);
  return share;
}

function count(share: Share, refusal: string | undefined): void {
  if (refusal === undefined) share.answered += 1;
  else share.refused += 1;
}

/** The least share, in percent of all statements, that each feature must have. */
export const FEATURE_PERCENT_MIN: Readonly<Record<string, number>> = {
  "2 tables joined": 4,
  "3 tables joined": 1.5,
  "4 tables joined": 0.8,
  "sub-selects 1 deep": 4,
  "sub-selects 2 deep": 1.5,
  "sub-selects 3 deep": 0.5,
  "sub-select EXISTS": 1,
  "sub-select IN or ANY": 1,
  "sub-select ALL": 0.3,
  "sub-select ARRAY": 0.2,
  "sub-select scalar": 1,
  "sub-select LATERAL": 0.4,
  "sub-select in FROM": 1.5,
  "LEFT JOIN": 1,
  "RIGHT JOIN": 0.5,
  "FULL JOIN": 0.5,
  "NATURAL join": 0.1,
  "join USING": 0.3,
  window: 1.5,
  "window frame": 0.5,
  "GROUPING SETS": 0.25,
  ROLLUP: 0.3,
  CUBE: 0.1,
  UNION: 0.5,
  "UNION ALL": 0.5,
  INTERSECT: 0.4,
  "INTERSECT ALL": 0.3,
  EXCEPT: 0.4,
  "EXCEPT ALL": 0.4,
  WITH: 1.5,
  "WITH RECURSIVE": 0.4,
  DISTINCT: 1,
  "DISTINCT ON": 0.5,
  "WITH TIES": 0.5,
  "GROUP BY": 3,
  HAVING: 1,
  "count(DISTINCT)": 0.8,
  "aggregate DISTINCT": 0.2,
  "aggregate FILTER": 0.8,
  "ordered-set aggregate": 0.15,
  "hypothetical-set aggregate": 0.15,
  "array_agg ORDER BY": 0.15,
  "string_agg ORDER BY": 0.1,
  "json_agg ORDER BY": 0.08,
  "jsonb_agg ORDER BY": 0.08,
  "stddev or variance": 0.4,
  "expression over aggregates": 0.6,
  "row comparison": 0.8,
  view: 0.5,
  "row locks": 0.3,
  "parameter in text": 10,
  "parameter in binary": 5,
  "INSERT VALUES": 8,
  "INSERT SELECT": 0.8,
  UPDATE: 5,
  "UPDATE FROM": 0.4,
  DELETE: 1.5,
  "DELETE USING": 0.15,
  MERGE: 0.4,
  "ON CONFLICT DO NOTHING": 1.5,
  "ON CONFLICT DO UPDATE": 1,
  "ON CONFLICT ON CONSTRAINT": 0.1,
};

/** What falls short, as sentences; none is good. */
export function shortfalls({ statements, features }: Distribution): string[] {
  return Object.entries(FEATURE_PERCENT_MIN).flatMap(([feature, least]) => {
    const { answered, refused } = features.get(feature) ?? { answered: 0, refused: 0 };
    const percent = (100 * (answered + refused)) / Math.max(statements, 1);
    return percent >= least
      ? []
      : [`${feature}: ${percent.toFixed(2)} % of the statements, at least ${least} % expected`];
  });
}

/** Of statements that touch one colocation, the group, or reference tables. */
export function answeredShare({ oneHome }: Distribution): number {
  return oneHome.answered / Math.max(oneHome.answered + oneHome.refused, 1);
}

export function printDistribution(distribution: Distribution): string[] {
  const { statements, features, oneHome, oneHomeRefusals } = distribution;
  const percentOf = (part: number, whole: number): string =>
    `${((100 * part) / Math.max(whole, 1)).toFixed(2)} %`;
  const total = oneHome.answered + oneHome.refused;
  return [
    `touching one colocation or reference tables: ${total} statements, ${percentOf(oneHome.answered, total)} answered`,
    ...[...oneHomeRefusals]
      .toSorted(([, a], [, b]) => b - a)
      .map(
        ([reason, refused]) =>
          `  ${String(refused).padStart(6)}  ${percentOf(refused, total).padStart(8)}  ${reason}`,
      ),
    "by what statements are made of (share of all; of those, answered):",
    ...[...features]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([feature, { answered, refused }]) => {
        const all = answered + refused;
        return `  ${percentOf(all, statements).padStart(8)}  ${percentOf(answered, all).padStart(9)}  ${feature}`;
      }),
  ];
}
