/**
 * Equal or error: at least 20,000 seeded statements get the same answer of the proxy, with
 * four placements on three databases, as of one plain PostgreSQL.
 *
 * A failure prints the seed: `npm run test:differential -- --seed N` replays it.
 */
import { readFile, readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadParser } from "../../planner/parse.ts";
import { POSTGRES_15 } from "../support/postgres.ts";
import type { ThrowAwayOptions } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { readCases } from "./cases.ts";
import type { Case } from "./cases.ts";
import { compareContents } from "./contents.ts";
import { answeredShare, printDistribution, shortfalls, together } from "./distribution.ts";
import type { Distribution } from "./distribution.ts";
import { startEnvironment } from "./environment.ts";
import type { DefaultCollation, Environment } from "./environment.ts";
import { printReport, runDifferential } from "./run.ts";
import { Runner } from "./runner.ts";

interface Seeds {
  readonly collation: DefaultCollation;
  readonly version: ThrowAwayOptions;
  readonly seeds: readonly number[];
  readonly statementsPerSeed: number;
}

const RUNS: Readonly<Record<string, Seeds>> = {
  "PostgreSQL 18, sorting as ICU's English does": {
    collation: "icu",
    version: {},
    seeds: [1, 2],
    statementsPerSeed: 5_200,
  },
  "PostgreSQL 18, sorting by bytes": {
    collation: "embedded",
    version: {},
    seeds: [3, 4],
    statementsPerSeed: 5_200,
  },
  "PostgreSQL 15": {
    collation: "icu",
    version: POSTGRES_15,
    seeds: [5],
    statementsPerSeed: 1_000,
  },
};
/** Of all statements; far fewer would make an equal answer easy. */
const ANSWERED_SHARE_MIN = 0.9;
/** Of statements that touch one colocation, the group, or reference tables. */
const ONE_HOME_ANSWERED_SHARE_MIN = 0.95;

const distributions: Distribution[] = [];

describe.for(Object.keys(RUNS))("seeded statements, %s", (name) => {
  const { collation, version, seeds, statementsPerSeed } = RUNS[name] as Seeds;
  let environment: Environment;
  let proxy: TestProxy;
  beforeAll(async () => {
    environment = await startEnvironment(collation, version);
    proxy = await startTestProxy(environment.mapYaml);
  });
  afterAll(async () => {
    await proxy?.stop();
    await environment?.[Symbol.asyncDispose]();
  });

  test.for(seeds)("seed %i", { timeout: 300_000 }, async (seed) => {
    const report = await runDifferential(environment, {
      seed,
      statements: statementsPerSeed,
      connectOther: () => proxy.connect(),
      isSharded: true,
    });
    const printed = printReport(report);
    process.stdout.write(`${printed}\n`);
    expect(report.differences, printed).toEqual([]);
    expect(report.statements).toBeGreaterThanOrEqual(statementsPerSeed);
    expect(report.answered / report.statements).toBeGreaterThan(ANSWERED_SHARE_MIN);
    distributions.push(report.distribution);
  });
});

test("what was sent is as manifold as it should be, and mostly answered", () => {
  const all = together(distributions);
  const printed = printDistribution(all).join("\n");
  expect(distributions).toHaveLength(Object.values(RUNS).flatMap(({ seeds }) => seeds).length);
  expect(shortfalls(all), printed).toEqual([]);
  expect(answeredShare(all), printed).toBeGreaterThan(ONE_HOME_ANSWERED_SHARE_MIN);
});

const CASES = new URL("cases/", import.meta.url);

await loadParser();

describe.for(await readdir(CASES))("%s", (file) => {
  let environment: Environment;
  let proxy: TestProxy;
  beforeAll(async () => {
    environment = await startEnvironment();
    proxy = await startTestProxy(environment.mapYaml);
  });
  afterAll(async () => {
    await proxy?.stop();
    await environment?.[Symbol.asyncDispose]();
  });

  test("every case is answered as one PostgreSQL does, or refused as expected", async () => {
    await environment.emptyAll();
    const runner = new Runner(
      {
        client: await environment.connectPlain(),
        connect: environment.connectPlain,
        typeNames: environment.plainTypeNames,
      },
      {
        client: await proxy.connect(),
        connect: () => proxy.connect(),
        typeNames: environment.catalogTypeNames,
      },
    );
    const failures: string[] = [];
    for (const each of readCases(await readFile(new URL(file, CASES), "utf8"))) {
      failures.push(
        ...(await failureOf(runner, each)).map((why) => `${file}:${each.line}: ${why}`),
      );
    }
    failures.push(...(await compareContents(environment, runner, true)));
    await runner.plain.client.close();
    await runner.other.client.close();
    expect(failures).toEqual([]);
  });
});

async function failureOf(runner: Runner, { expected, sql }: Case): Promise<string[]> {
  const before = runner.differences.length;
  const refusals = new Map(runner.refusals);
  await runner.unit([
    {
      kind: "simple",
      sql,
      statements: [
        {
          kind: "case",
          sql,
          parameters: [],
          order: /ORDER BY/.test(sql) && !/OVER|string_agg/.test(sql) ? "total" : "any",
          opaqueColumns: [],
          isWrite: true,
          mayFailTwice: false,
        },
      ],
    },
  ]);
  const [difference] = runner.differences.slice(before);
  if (difference !== undefined)
    return [
      `${difference.why}\n${difference.step}\n${difference.expected}\n---\n${difference.actual}`,
    ];
  const refused = [...runner.refusals].find(
    ([reason, count]) => refusals.get(reason) !== count,
  )?.[0];
  if (expected.kind === "equal")
    return refused === undefined ? [] : [`refused (${refused}): ${sql}`];
  if (expected.kind === "equal or refused") return [];
  if (refused === undefined) return [`answered, though it must be refused: ${sql}`];
  return expected.id === undefined || refused === expected.id
    ? []
    : [`refused as ${refused}, not ${expected.id}`];
}
