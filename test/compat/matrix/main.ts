/**
 * `npm run test:compat -- [--only NAME,...] [--write] [--serve]`: every program of programs/ against one
 * plain PostgreSQL, which proves the program, and against the proxy, which it is for.
 * Prints each check that did not pass and why; exit code 1 where one failed. `--serve` runs nothing:
 * it starts the servers and prints the environments of the programs, until it is interrupted.
 */
import { parseArgs } from "node:util";
import { findPrograms } from "./find-programs.ts";
import {
  cacheFolderOf,
  environmentOf,
  type FoundProgram,
  type ProgramRun,
  runProgram,
  setUp,
} from "./run-program.ts";
import { type Servers, startServers } from "./servers.ts";

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

async function runBoth(servers: Servers, found: FoundProgram): Promise<boolean> {
  const cacheFolder = await cacheFolderOf(found);
  const missing = await setUp(found, cacheFolder);
  if (missing !== undefined) {
    say(`${found.folder}: skipped: ${missing}`);
    return true;
  }
  let isGood = true;
  for (const target of servers.targets) {
    await target.renew();
    const run = await runProgram(found, cacheFolder, servers, target);
    isGood = tell(found, target.name, run) && isGood;
  }
  return isGood;
}

function tell(found: FoundProgram, target: string, run: ProgramRun): boolean {
  const results = [...run.results.values()];
  const failed = results.filter(({ outcome }) => outcome === "failed");
  const passed = results.filter(({ outcome }) => outcome === "passed");
  const isGood = failed.length === 0 && run.faults.length === 0;
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
  return isGood;
}

const chosen = await findPrograms(values.only?.split(","));
await using servers = await startServers();
if (values.serve) {
  await serve(servers);
} else {
  let isGood = true;
  for (const found of chosen) isGood = (await runBoth(servers, found)) && isGood;
  process.exitCode = isGood ? 0 : 1;
}
