#!/usr/bin/env node
/**
 * The command line: which commands and flags there are. What each does is in its own
 * file, loaded when it is called, so that `--help` needs no parser and no database.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { HELD_MS_MAX, WORKERS_MAX } from "../base/limits.ts";
import { CommandFailure } from "./failure.ts";
import { addGuard } from "./guard-command.ts";
import { requireNode } from "./node-version.ts";
import { outliveReader } from "./output.ts";
import { packageVersion } from "./package-root.ts";
import { addMigrate } from "./migrate/command-line.ts";
import { addRehearse } from "./rehearse/command-line.ts";

const EXIT_CODES = `
Exit codes:
  0  done
  1  done, and the answer is no: the map has errors, the statement is refused
  2  not done: a wrong flag, a missing file, a taken port, a server that is away
  3  of a rehearsal: a promise is broken
  4  of a rehearsal: it did not come to its end`;

function port(text: string): number {
  const number = Number(text);
  if (/^\d{1,5}$/.test(text) && number >= 1 && number <= 65_535) return number;
  throw new InvalidArgumentError("a port is a number from 1 to 65535");
}

function workers(text: string): number {
  const number = Number(text);
  if (/^\d{1,3}$/.test(text) && number >= 1 && number <= WORKERS_MAX) return number;
  throw new InvalidArgumentError(`workers are a number from 1 to ${WORKERS_MAX}`);
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

function commandLine(): Command {
  const program = new Command("colonnade")
    .description("A sharding proxy for PostgreSQL")
    .version(packageVersion(), "--version", "print the version")
    .helpOption("-h, --help", "show what there is")
    .showHelpAfterError("(try --help)")
    .addHelpText("after", EXIT_CODES)
    .exitOverride();
  addDev(program);
  addServe(program);
  addCheck(program);
  addExplain(program);
  addAnalyze(program);
  addControl(program);
  addMap(program);
  addMigrate(program, { whole, above0, duration, time });
  addRehearse(program, { whole, atLeastOne, duration });
  addHold(program);
  addGuard(program);
  return program;
}

function addDev(program: Command): void {
  program
    .command("dev")
    .description(
      "start PostgreSQL servers, a sample schema with data, and the proxy, on this machine",
    )
    .option("--map <file>", "a shard map of your own; its databases may be `embedded: true`")
    .option("--sql <file>", "SQL to run through the proxy on the first start")
    .option("--data <directory>", "where the embedded servers keep their data", ".colonnade")
    .option("--port <number>", "port for clients", port, 6432)
    .option("--admin-port <number>", "port for /metrics, /healthz and /readyz", port, 9632)
    .option("--reset", "throw the data away and begin anew")
    .action(async (flags) => await (await import("./dev/dev.ts")).dev(flags));
}

function addServe(program: Command): void {
  program
    .command("serve")
    .description("serve the databases of a shard map")
    .option("--map <file>", "the shard map; read again on SIGHUP")
    .option(
      "--control <url>",
      "follow the control schema in this database; --map is then for a start without it",
    )
    .option("--config <file>", "the configuration (docs/config.md)")
    .option("--workers <number>", "processes that serve the address, for more cores", workers)
    .action(async (flags) => await (await import("./serve.ts")).serve(flags));
}

function addCheck(program: Command): void {
  program
    .command("check")
    .description("check a shard map: every error with its line, field, reason and remedy")
    .argument("<map>", "the shard map")
    .option("--live", "also connect to its databases and compare their tables with it")
    .option("--json", "print one JSON document")
    .action(async (map, flags) => await (await import("./check.ts")).check(map, flags));
}

function addExplain(program: Command): void {
  program
    .command("explain")
    .description(
      "print how a statement would be run, without running it: tables and shard keys are looked up, the names and types of other columns are not",
    )
    .argument("<sql>", "one statement")
    .requiredOption("--map <file>", "the shard map")
    .option("--schema <file>", "CREATE TABLE statements; else the catalog database is asked")
    .addOption(
      new Option("--param <value>", "a parameter's value as text, for $1, $2, ... in turn")
        .argParser(collect)
        .default([], "none"),
    )
    .option("--json", "print one JSON document")
    .action(async (sql, flags) => await (await import("./explain.ts")).explain(sql, flags));
}

function addAnalyze(program: Command): void {
  program
    .command("analyze")
    .description(
      "plan a workload's statements against a shard map: which go where, and what to fix first",
    )
    .requiredOption("--map <file>", "the shard map")
    .option(
      "--schema <file>",
      "CREATE TABLE statements; else --database or the catalog database is asked",
    )
    .option("--database <url>", "read pg_stat_statements of this database")
    .addOption(filesOption("--log <file>", "read a PostgreSQL log: csvlog, jsonlog or stderr"))
    .option(
      "--log-line-prefix <prefix>",
      "the server's log_line_prefix, for a stderr log",
      "%m [%p] ",
    )
    .addOption(filesOption("--file <file>", "read a file of SQL statements"))
    .option("--suggest", "also look for colocations that suit the statements better")
    .option("--json", "print one JSON document")
    .option("--html <file>", "also write one page with charts")
    .action(async (flags) => await (await import("./analyze.ts")).analyze(flags));
}

const CONTROL_URL = "URL of the catalog database, where the control schema is";

function addControl(program: Command): void {
  const control = program
    .command("control")
    .description("the control schema, through which a fleet of proxies shares one shard map");
  for (const [name, description] of [
    ["init", "make the control schema in the catalog database"],
    ["upgrade", "bring the control schema to this program's version"],
  ] as const) {
    control
      .command(name)
      .description(description)
      .requiredOption("--control <url>", CONTROL_URL)
      .option("--proxy-role <role>", "grant this role what proxies need")
      .option("--json", "print one JSON document")
      .action(
        async (flags) => await (await import("./control.ts")).changeControlSchema(name, flags),
      );
  }
  control
    .command("status")
    .description("which map is in force, and which proxies serve it")
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./control.ts")).controlStatus(flags));
}

function mapVersion(text: string): number {
  if (/^[1-9]\d{0,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a version is a number from 1 on");
}

function addMap(program: Command): void {
  const map = program.command("map").description("compare, publish and look at shard maps");
  map
    .command("diff")
    .description("what one shard map changes of another: at once, or only after a migration")
    .argument("<old>", "the shard map that is in force")
    .argument("<new>", "the one to take its place")
    .option("--live", "also ask the databases how many rows would have to move")
    .option("--json", "print one JSON document")
    .action(async (old, next, flags) => await (await import("./map.ts")).mapDiff(old, next, flags));
  addPublication(
    map
      .command("publish")
      .description("put a shard map in force in every proxy, once all checks have passed")
      .argument("<file>", "the shard map; its version is one more than the one in force"),
  ).action(async (file, flags) => await (await import("./map.ts")).mapPublish(file, flags));
  addPublication(
    map
      .command("rollback")
      .description("publish an older version again, under the next number and the same checks")
      .argument("<version>", "which one", mapVersion),
  ).action(async (version, flags) => await (await import("./map.ts")).mapRollback(version, flags));
  map
    .command("history")
    .description("the published versions, the last first, and what each changed")
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./map.ts")).mapVersions(flags));
  map
    .command("show")
    .description("print a published shard map as it was written")
    .argument("[version]", "which one; the one in force unless given", mapVersion)
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--json", "print one JSON document")
    .action(async (version, flags) => await (await import("./map.ts")).mapShow(version, flags));
}

function whole(text: string): number {
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a whole number is expected, of seven digits at most");
}

function above0(text: string): number {
  const number = whole(text);
  if (number > 0) return number;
  throw new InvalidArgumentError("a number above 0 is expected");
}

function atLeastOne(text: string): number {
  if (/^[1-9]$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a number from 1 to 9 is expected");
}

function addHold(program: Command): void {
  program
    .command("hold")
    .description(
      "rehearse a cutover's pause: every proxy holds back what is new on some placements, and nothing else happens",
    )
    .requiredOption("--control <url>", CONTROL_URL)
    .requiredOption("--placements <names>", "which: users0.public, or several with commas", names)
    .addOption(
      new Option(
        "--for <duration>",
        `for how long: 500ms, 2s, or milliseconds; at most ${HELD_MS_MAX / 1_000}s`,
      )
        .argParser(holdDuration)
        .default(500, "500ms"),
    )
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./hold.ts")).hold(flags));
}

function names(text: string): readonly string[] {
  const all = text.split(",").map((name) => name.trim());
  if (all.includes("")) throw new InvalidArgumentError("a name is empty");
  return all;
}

/** In milliseconds. */
function duration(text: string): number {
  const [, number, unit] = /^(\d{1,6}(?:\.\d{1,3})?)(ms|s)$/.exec(text) ?? [];
  if (number === undefined)
    throw new InvalidArgumentError("a duration is a number with a unit: 500ms, 2s");
  return Number(number) * (unit === "s" ? 1_000 : 1);
}

/** As `duration`, or a bare number of milliseconds. A longer one would have clients refused, which is no rehearsal of a pause. */
function holdDuration(text: string): number {
  const ms = /^\d{1,7}$/.test(text) ? Number(text) : duration(text);
  if (ms >= 1 && ms <= HELD_MS_MAX) return ms;
  throw new InvalidArgumentError(
    `a hold lasts from 1ms to ${HELD_MS_MAX}ms (HELD_MS_MAX), after which proxies refuse what waits`,
  );
}

/** With its zone, so that it is the same moment on every machine. The 31st of February is no date, though Date takes it for one. */
function time(text: string): Date {
  const date = new Date(text);
  const [, day] =
    /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/.exec(text) ?? [];
  const isDay =
    day !== undefined && new Date(`${day}T00:00:00Z`).getUTCDate() === Number(day.slice(-2));
  if (isDay && !Number.isNaN(date.getTime())) return date;
  throw new InvalidArgumentError("a time is a date with a time and its zone: 2026-11-23T03:00:00Z");
}

function addPublication(command: Command): Command {
  return command
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--author <name>", "who publishes; the user of the operating system unless given")
    .option("--no-wait", "do not wait until all proxies serve it")
    .option("--json", "print one JSON document");
}

/** May be given several times. */
function filesOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser(collect).default([], "none");
}

async function main(): Promise<number> {
  try {
    requireNode(process.versions.node);
    await commandLine().parseAsync();
    return 0;
  } catch (error) {
    // Commander has printed its own message; help and version are its errors with code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof CommandFailure) {
      process.stderr.write(`colonnade: ${error.message}\n`);
      return error.exitCode;
    }
    throw error;
  }
}

outliveReader();
process.exitCode = await main();
