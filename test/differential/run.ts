/** One seeded run: so many statements, whole tables compared every so often, and a report. */
import type { RawClient } from "../support/raw-client.ts";
import { compareContents } from "./contents.ts";
import type { Environment } from "./environment.ts";
import { printDistribution } from "./distribution.ts";
import type { Distribution } from "./distribution.ts";
import { writeInitialRows, writeUnit } from "./generate.ts";
import { Random } from "./random.ts";
import { Runner, alike } from "./runner.ts";
import type { Difference, Tally } from "./runner.ts";

export interface RunOptions {
  readonly seed: number;
  readonly statements: number;
  /** Connects to what is compared with the plain server. */
  readonly connectOther: () => Promise<RawClient>;
  /** The other side keeps its rows in the map's placements. */
  readonly isSharded: boolean;
  /** Stops after so many differences. */
  readonly differencesMax?: number;
  /** Sees every step before it is sent. */
  readonly trace?: ((sql: string) => void) | undefined;
  readonly ignored?: RegExp | undefined;
  /** Sees every refused step, and the reason. */
  readonly onRefused?: (reason: string, step: string) => void;
  /** Runs before each unit of work, with its number. */
  readonly onUnit?: (unit: number) => Promise<void>;
}

export interface Report {
  readonly seed: number;
  readonly statements: number;
  readonly answered: number;
  readonly refusals: ReadonlyMap<string, number>;
  readonly errors: ReadonlyMap<string, number>;
  readonly kinds: ReadonlyMap<string, Tally>;
  readonly distribution: Distribution;
  readonly differences: readonly Difference[];
  readonly ignored: ReadonlyMap<string, number>;
  readonly tablesCompared: number;
  /** Steps of which one side alone failed, on a row that only its plan met; not among `differences`. */
  readonly failedBySomePlans: number;
}

const STATEMENTS_PER_COMPARISON = 1_000;
/**
 * Then the tables begin anew: those whose keys the servers draw only grow, and a join of such
 * a table with itself grows with a power of it.
 */
const COMPARISONS_PER_FILL = 3;
const INITIAL_ROWS_PER_TABLE = 15;

export async function runDifferential(
  environment: Environment,
  options: RunOptions,
): Promise<Report> {
  const { seed, statements, connectOther, differencesMax = 20 } = options;
  const random = new Random(seed);
  const runner = new Runner(
    {
      client: await environment.connectPlain(),
      connect: environment.connectPlain,
      typeNames: environment.plainTypeNames,
    },
    {
      client: await connectOther(),
      connect: connectOther,
      typeNames: options.isSharded ? environment.catalogTypeNames : environment.twinTypeNames,
    },
    options,
  );
  let tablesCompared = 0;
  let units = 0;
  try {
    await fill(environment, runner, random);
    let next = STATEMENTS_PER_COMPARISON;
    while (runner.statements < statements && runner.differences.length < differencesMax) {
      await options.onUnit?.(units++);
      const steps = writeUnit(random);
      options.trace?.(JSON.stringify(steps));
      await runner.unit(steps);
      if (runner.isDiverged) await fill(environment, runner, random);
      if (runner.statements < next && runner.statements < statements) continue;
      next += STATEMENTS_PER_COMPARISON;
      tablesCompared += 1;
      const differences = await compareContents(environment, runner, options.isSharded);
      for (const why of differences)
        runner.differences.push({
          statement: runner.statements,
          kind: "table contents",
          why,
          step: "",
          before: [],
          expected: "",
          actual: "",
        });
      if (differences.length > 0 || tablesCompared % COMPARISONS_PER_FILL === 0)
        await fill(environment, runner, random);
    }
  } finally {
    await runner.plain.client.close();
    await runner.other.client.close();
  }
  return {
    seed,
    statements: runner.statements,
    answered: runner.answered,
    refusals: runner.refusals,
    errors: runner.errors,
    kinds: runner.kinds,
    distribution: runner.distribution,
    differences: runner.differences,
    ignored: runner.ignored,
    tablesCompared,
    failedBySomePlans: runner.failedBySomePlans,
  };
}

/** Empties both sides and fills them alike. */
async function fill(environment: Environment, runner: Runner, random: Random): Promise<void> {
  await environment.emptyAll();
  runner.isDiverged = false;
  runner.isFilling = true;
  for (const step of writeInitialRows(random, INITIAL_ROWS_PER_TABLE)) {
    await runner.unit([step]);
    if (runner.isDiverged) break;
  }
  runner.isFilling = false;
}

export function printReport(report: Report): string {
  const { seed, statements, answered, refusals, errors, kinds, differences, tablesCompared } =
    report;
  const percent = (part: number): string =>
    `${((100 * part) / Math.max(statements, 1)).toFixed(1)} %`;
  const refused = [...refusals.values()].reduce((sum, count) => sum + count, 0);
  return [
    `seed ${seed}: ${statements} statements, ${answered} answered (${percent(answered)}), ${refused} refused (${percent(refused)}), ${differences.length} different answers; all tables compared ${tablesCompared} times`,
    `${report.failedBySomePlans} failed on one side alone, on a row that only its plan met`,
    "refused, by reason:",
    ...[...refusals]
      .toSorted(([, a], [, b]) => b - a)
      .map(
        ([reason, count]) =>
          `  ${String(count).padStart(6)}  ${percent(count).padStart(7)}  ${reason}`,
      ),
    `errors given alike: ${[...errors]
      .toSorted(([, a], [, b]) => b - a)
      .map(([code, count]) => `${code} ${count}`)
      .join(", ")}`,
    ...[...report.ignored].map(([why, count]) => `ignored ${count}: ${why}`),
    "by kind of statement (answered / refused):",
    ...[...kinds]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(
        ([kind, tally]) =>
          `  ${String(tally.answered).padStart(6)} / ${String(tally.refused).padEnd(6)} ${kind}`,
      ),
    ...printDistribution(report.distribution),
    ...shortestOfEach(differences),
  ].join("\n");
}

/** Of differences that look alike, the shortest stands for all. */
function shortestOfEach(differences: readonly Difference[]): string[] {
  const groups = Map.groupBy(differences, ({ kind, why }) => alike(`${kind} ${why}`));
  return [...groups.values()].map((group) => {
    const [shortest] = group.toSorted((a, b) => a.step.length - b.step.length);
    return `${shortest === undefined ? "" : printDifference(shortest)}\n(${group.length} alike)`;
  });
}

function printDifference({
  statement,
  kind,
  why,
  step,
  before,
  expected,
  actual,
}: Difference): string {
  return `\nDIFFERENCE at statement ${statement} (${kind}): ${why}\n${step}\n--- one PostgreSQL\n${expected}\n--- the other\n${actual}\n--- before it, the last first\n${before.join("\n")}`;
}
