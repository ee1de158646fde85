/**
 * `npm run test:compat -- [--only NAME,...] [--write] [--serve]`: every program of programs/ against one
 * plain PostgreSQL, which proves the program, and against the proxy, which it is for.
 * Prints each check that did not pass and why; exit code 1 where one failed. `--serve` runs nothing:
 * it starts the servers and prints the environments of the programs, until it is interrupted. `--write` writes docs/compatibility.md, of all programs as they last ran.
 */
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { compareAnswers } from "./compare-answers.ts";
import { findPrograms } from "./find-programs.ts";
import { type Outcome, PAGE, readOutcomes, writeOutcomes } from "./outcomes.ts";
import { compatibilityPage } from "./report.ts";
import {
  cacheFolderOf,
  environmentOf,
  type FoundProgram,
  type ProgramRun,
  runProgram,
  setUp,
} from "./run-program.ts";
import { type Servers, startServers, type Target } from "./servers.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    write: { type: "boolean", default: false },
    serve: { type: "boolean", default: false },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function serve(servers: Servers): Promise<void> {
  for (const target of servers.targets) {
    await target.renew();
    const own = Object.entries(environmentOf(servers, target)).filter(([name]) =>
      /^(?:PG|COMPAT_)/.test(name),
    );
    say(own.map(([name, value]) => `export ${name}=${value}`).join("\n"));
  }
  const interrupted = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interrupted.resolve());
  await interrupted.promise;
}

async function runBoth(servers: Servers, found: FoundProgram): Promise<Judged> {
  const { folder, program } = found;
  const cacheFolder = await cacheFolderOf(found);
  const missing = await setUp(found, cacheFolder);
  if (missing !== undefined) {
    say(`SKIP ${folder}: ${missing}`);
    return { found, outcome: { kind: "skipped", missing }, isGood: true };
  }
  const [plain, proxied] = [
    await runOn(servers.targets[0], servers, found, cacheFolder),
    await runOn(servers.targets[1], servers, found, cacheFolder),
  ];
  const { differing, faults } = compareAnswers(
    plain.answers,
    proxied.answers,
    program.differences ?? {},
  );
  const unlike = [...plain.results.values()].filter(
    ({ check, outcome }) =>
      (outcome === "absent") !== (proxied.results.get(check)?.outcome === "absent"),
  );
  const more = [...faults, ...unlike.map(({ check }) => `${check} is absent on one of the two`)];
  for (const fault of more) say(`FAIL ${folder}: ${fault}`);
  const version = await program.version(cacheFolder);
  const checks = Object.fromEntries(
    [...proxied.results].map(([check, { outcome, detail }]) => [
      check,
      { outcome, ...(outcome !== "passed" && { detail }) },
    ]),
  );
  const isGood = isGoodRun(plain) && isGoodRun(proxied) && more.length === 0;
  return { found, outcome: { kind: "ran", version, checks, differing: [...differing] }, isGood };
}

interface Judged {
  readonly found: FoundProgram;
  readonly outcome: Outcome;
  readonly isGood: boolean;
}

async function runOn(
  target: Target,
  servers: Servers,
  found: FoundProgram,
  cacheFolder: string,
): Promise<ProgramRun> {
  await target.renew();
  await servers.renewEmptyDatabase();
  const run = await runProgram(found, cacheFolder, servers, target);
  tell(found, target.name, run);
  return run;
}

function isGoodRun({ results, faults }: ProgramRun): boolean {
  return faults.length === 0 && [...results.values()].every(({ outcome }) => outcome !== "failed");
}

function tell(found: FoundProgram, target: string, run: ProgramRun): void {
  const results = [...run.results.values()];
  const passed = results.filter(({ outcome }) => outcome === "passed");
  const isGood = isGoodRun(run);
  const seconds = (run.milliseconds / 1000).toFixed(1);
  const verdict = isGood ? "PASS" : "FAIL";
  say(
    `${verdict} ${found.folder} on ${target}: ${passed.length} of ${results.length}, ${seconds} s`,
  );
  for (const { check, outcome, detail } of results) {
    if (outcome !== "passed") say(`  ${check}: ${outcome}: ${detail ?? ""}`);
  }
  for (const fault of run.faults) say(`  ${fault}`);
  if (!isGood) say(run.standardError.replaceAll(/^/gm, "  | "));
}

/** The page is of every program that is there, by its last outcome. */
async function write(judged: readonly Judged[]): Promise<void> {
  const written = await readOutcomes();
  const all = await findPrograms();
  const now = new Map(judged.map(({ found, outcome }) => [found.folder, outcome]));
  const kept = all.flatMap(({ folder, program }) => {
    const outcome = now.get(folder) ?? written[folder];
    return outcome === undefined ? [] : [{ folder, program, outcome }];
  });
  await writeOutcomes(Object.fromEntries(kept.map(({ folder, outcome }) => [folder, outcome])));
  await writeFile(PAGE, compatibilityPage(kept));
}

const chosen = await findPrograms(values.only?.split(","));
await using servers = await startServers();
if (values.serve) {
  await serve(servers);
} else {
  const judged: Judged[] = [];
  for (const found of chosen) judged.push(await runBoth(servers, found));
  if (values.write) await write(judged);
  const rows = judged.map(({ found: { program }, outcome }) => ({ program, outcome }));
  if (!values.write) say(`\n${compatibilityPage(rows)}`);
  const failed = judged.filter(({ isGood }) => !isGood).map(({ found }) => found.folder);
  say(failed.length === 0 ? `PASS: ${judged.length} programs` : `FAIL: ${failed.join(", ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
