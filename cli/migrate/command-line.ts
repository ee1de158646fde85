/** The flags of `colonnade migrate` and `colonnade orchestrate`. */
import type { Command } from "commander";

export interface Parsers {
  readonly whole: (text: string) => number;
  readonly above0: (text: string) => number;
  /** In milliseconds. */
  readonly duration: (text: string) => number;
  readonly time: (text: string) => Date;
}

const CONTROL_URL = "URL of the catalog database, where the control schema is";

const DRY_RUN = ["--dry-run", "only say what would be done, or what stands in the way"] as const;

/** Scripts may give it to every command alike. */
const DRY_READING = ["--dry-run", "makes no difference: nothing is changed in any case"] as const;

export function addMigrate(program: Command, parsers: Parsers): void {
  const migrate = program
    .command("migrate")
    .description("move rows to where the next shard map has them, while they are served");
  migrate
    .command("plan")
    .description("name the migration that leads from the map in force to the next one")
    .requiredOption("--to <file>", "the next shard map")
    .requiredOption("--control <url>", CONTROL_URL)
    .option(
      "--carrier <name>",
      "what brings changes to the targets: the servers' logs alone",
      "wal",
    )
    .option("--dry-run", "store nothing")
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./plan.ts")).planCommand(flags));
  addWaves(migrate, parsers);
  migrate
    .command("preflight")
    .description("look for everything that would stop a migration; nothing is changed")
    .argument("[names...]", "which ones; all that are not over unless given")
    .requiredOption("--control <url>", CONTROL_URL)
    .option(...DRY_READING)
    .option("--json", "print one JSON document")
    .action(
      async (which, flags) => await (await import("./preflight.ts")).preflightCommand(which, flags),
    );
  migrate
    .command("list")
    .description("all migrations, also those that are over")
    .requiredOption("--control <url>", CONTROL_URL)
    .option(...DRY_READING)
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./status.ts")).listCommand(flags));
  migrate
    .command("status")
    .description("where a migration is, and what led there")
    .argument("<name>", "which one")
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--watch", "print it again with every change, until it is over")
    .option(...DRY_READING)
    .option("--json", "print one JSON document")
    .action(async (name, flags) => await (await import("./status.ts")).statusCommand(name, flags));
  addSteps(migrate);
  addCutovers(migrate, parsers);
  addThrottle(migrate, parsers);
  migrate
    .command("doctor")
    .description(
      "find what migrations have left behind in databases, though none needs it any more",
    )
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--clean", "take them away")
    .option("--dry-run", "tell them alone, also with --clean")
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./doctor.ts")).doctorCommand(flags));
  addOrchestrate(program);
}

function addWaves(migrate: Command, { whole }: Parsers): void {
  migrate
    .command("waves")
    .description("write the maps that lead to the next one in steps of a few placements each")
    .requiredOption("--to <file>", "the shard map that the last of them is")
    .requiredOption("--size <number>", "placements that rows leave in one step, at most", whole)
    .requiredOption("--out <directory>", "where the maps are written; it is made")
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--dry-run", "write nothing")
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./waves.ts")).wavesCommand(flags));
}

const ROW_COMMANDS = [
  ["pause", "stop copying, building and verifying; the stream goes on"],
  ["resume", "go on with what was paused, or with what has stopped"],
  ["resync", "copy the rows anew, after a rollback or where the source has lost its log"],
  ["cancel", "give migrations up that are not switched yet"],
] as const;

/** A command about one migration. */
function one(migrate: Command, name: string, description: string): Command {
  return migrate
    .command(name)
    .description(description)
    .argument("<name>", "which one")
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--json", "print JSON");
}

function addSteps(migrate: Command): void {
  one(migrate, "start", "start a migration, or go on with it, and run it until it is over")
    .option("--background", "leave the work to `colonnade orchestrate`")
    .option(...DRY_RUN)
    .action(async (name, flags) => await (await import("./command.ts")).startCommand(name, flags));
  one(migrate, "complete", "keep what was moved for good: there is no way back afterwards")
    .option(...DRY_RUN)
    .action(
      async (name, flags) => await (await import("./command.ts")).completeCommand(name, flags),
    );
  one(migrate, "verify", "compare every row of both sides, while both change; nothing is changed")
    .option("--exact", "the texts of values, byte by byte; so unless --fast is given")
    .addOption(
      migrate
        .createOption("--fast", "values as their types compare them: 1.0 is 1.00")
        .conflicts("exact"),
    )
    .option("--inject", "put known faults into a scratch copy, and see that they are found")
    .option(...DRY_RUN)
    .action(async (name, flags) => await (await import("./verify.ts")).verifyCommand(name, flags));
  for (const [kind, description] of ROW_COMMANDS)
    migrate
      .command(kind)
      .description(description)
      .argument("<names...>", "which ones")
      .requiredOption("--control <url>", CONTROL_URL)
      .option(...DRY_RUN)
      .option("--json", "print one JSON document")
      .action(
        async (which, flags) => await (await import("./command.ts")).rowCommand(kind, which, flags),
      );
}

function addCutovers(migrate: Command, { time }: Parsers): void {
  const at = [
    "--at <time>",
    "not before it: 2026-11-23T03:00:00Z; the command waits",
    time,
  ] as const;
  one(
    migrate,
    "cutover",
    "let the targets own the rows, within a pause of two seconds or not at all",
  )
    .option(...at)
    .option("--fence-reads", "the sources refuse reads, too, of all but the tables' owners")
    .option(...DRY_RUN)
    .action(
      async (name, flags) =>
        await (await import("./command.ts")).cutoverCommand("cutover", name, flags),
    );
  one(migrate, "rollback", "let the sources own the rows again, with all that was written since")
    .option(...at)
    .option(...DRY_RUN)
    .action(
      async (name, flags) =>
        await (await import("./command.ts")).cutoverCommand("rollback", name, flags),
    );
}

/** A limit of nothing would have copying wait for ever: `pause` says so by name. */
function addThrottle(migrate: Command, { above0, duration }: Parsers): void {
  one(migrate, "throttle", "tell when copying waits, and change it; what is not named stays")
    .option(
      "--rows-per-second <number>",
      "of each source; `none`: as many as there can be",
      // Not null, which commander takes for no value.
      (text) => (text === "none" ? text : above0(text)),
    )
    .option("--replica-lag <duration>", "wait while a standby is further behind: 5s", (text) =>
      above0(String(Math.ceil(duration(text)))),
    )
    .option("--active-sessions <number>", "wait while more sessions are at work", above0)
    .option(...DRY_RUN)
    .action(
      async (name, flags) => await (await import("./throttle.ts")).throttleCommand(name, flags),
    );
}

function addOrchestrate(program: Command): void {
  program
    .command("orchestrate")
    .description("run every migration that is under way, until it is stopped")
    .requiredOption("--control <url>", CONTROL_URL)
    .option("--json", "print one JSON document a line")
    .action(async (flags) => await (await import("./run.ts")).orchestrateCommand(flags));
}
