/**
 * `npm run test:differential -- --seed N --statements N [--collation icu|embedded]
 * [--trace]`: one seeded run against the proxy, printed. Exit code 1 where an answer differs.
 *
 * `--postgres 15` has all servers of that version, the oldest that is served.
 * `--refused ID` prints what was refused for that reason; `--ignore REGEXP` goes past
 * differences whose reason matches; `--long-way` turns `fast_path` off, `--multiplexed` has reads share
 * connections; `--twin` compares two plain servers instead, which shows what the harness itself adds.
 */
import { parseArgs } from "node:util";
import { POSTGRES_15 } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import { COLLATIONS, startEnvironment } from "./environment.ts";
import { printReport, runDifferential } from "./run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    statements: { type: "string", default: "20000" },
    collation: { type: "string", default: "icu" },
    postgres: { type: "string", default: "18" },
    differences: { type: "string", default: "20" },
    twin: { type: "boolean", default: false },
    "long-way": { type: "boolean", default: false },
    multiplexed: { type: "boolean", default: false },
    ignore: { type: "string" },
    refused: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});

/** The end of the proxy's log, where something differed. */
const LOG_CHARS = 2_000;

const collation = COLLATIONS.find((each) => each === values.collation);
if (collation === undefined) throw new Error(`--collation is one of ${COLLATIONS.join(", ")}`);
if (!["15", "18"].includes(values.postgres)) throw new Error("--postgres is 15 or 18");
const version = values.postgres === "15" ? POSTGRES_15 : {};
await using environment = await startEnvironment(collation, version);
const config = {
  ...(values["long-way"] && { fast_path: { relay: false, templates: false } }),
  multiplexed_reads: { enabled: values.multiplexed },
};
await using proxy = values.twin ? undefined : await startTestProxy(environment.mapYaml, { config });
const report = await runDifferential(environment, {
  seed: Number(values.seed),
  statements: Number(values.statements),
  differencesMax: Number(values.differences),
  connectOther: proxy === undefined ? environment.connectTwin : () => proxy.connect(),
  isSharded: !values.twin,
  onRefused: (reason, step) => {
    if (reason === values.refused) process.stdout.write(`refused: ${step}\n`);
  },
  ignored: values.ignore === undefined ? undefined : new RegExp(values.ignore),
  trace: values.trace ? (line) => process.stderr.write(`${line}\n`) : undefined,
});
process.stdout.write(`${printReport(report)}\n`);
if (report.differences.length > 0)
  process.stdout.write(`\nthe proxy's log:\n${proxy?.output().slice(-LOG_CHARS) ?? ""}\n`);
process.exitCode = report.differences.length > 0 ? 1 : 0;
