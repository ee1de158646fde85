/** The flags of `colonnade guard`. */
import type { Command } from "commander";

export function addGuard(program: Command): void {
  const guard = program
    .command("guard")
    .description("CHECKs by which the databases themselves refuse rows of another placement");
  for (const [name, description] of [
    [
      "install",
      "put a guard on every sharded table of every placement, and on tables kept empty; those that are right stay",
    ],
    ["verify", "compare the guards with the shard map"],
    ["remove", "drop the guards"],
  ] as const) {
    guard
      .command(name)
      .description(description)
      .option("--control <url>", "the map in force in the control schema of this database")
      .option("--map <file>", "the shard map; refused where another one is in force")
      .option("--unpublished", "take the file of --map whatever map is in force")
      .option("--json", "print one JSON document")
      .action(async (flags) => await (await import("./guard.ts")).guard(name, flags));
  }
}
