/** The flags of `colonnade rehearse`. */
import type { Command } from "commander";

export interface Parsers {
  readonly whole: (text: string) => number;
  readonly atLeastOne: (text: string) => number;
  /** In milliseconds. */
  readonly duration: (text: string) => number;
}

export function addRehearse(program: Command, { whole, atLeastOne, duration }: Parsers): void {
  program
    .command("rehearse")
    .description(
      "try a migration out on servers that are thrown away, with clients that write down every answer: exit code 3 where a promise is broken, 4 where it does not end",
    )
    .requiredOption("--from <file>", "the shard map that is in force")
    .requiredOption("--to <file>", "the next shard map")
    .requiredOption("--schema <file>", "SQL that makes the tables, and rows if it likes")
    .option("--seed <number>", "what repeats the clients' statements and the faults", whole, 1)
    .option("--rows <number>", "rows of each table that are there from the beginning", whole, 1000)
    .option("--proxies <number>", "how many serve the clients", atLeastOne, 3)
    .option("--faults <number>", "processes to kill or to stop, in each pass", whole, 3)
    .option(
      "--hold <duration>",
      "how long clients write before and after each switch",
      duration,
      5_000,
    )
    .addOption(
      program
        .createOption("--pass <which>", "to the end, with a rollback, or both in turn")
        .choices(["both", "complete", "rollback"])
        .default("both"),
    )
    .option("--report <directory>", "write rehearsal.json and rehearsal.md here")
    .option("--json", "print one JSON document")
    .action(async (flags) => await (await import("./rehearse.ts")).rehearseCommand(flags));
}
