/** The flags of `colonnade guard`. */
import type { Command } from "commander";

export function addGuard(program: Command): void {
  const guard = program
    .command("guard")
    .description("CHECKs by which the databases themselves refuse rows of another placement");
  for (const [name, description] of [
    ["install", "put a guard on every sharded table of every placement; those that are right stay"],
    ["verify", "compare the guards with the shard map"],
    ["remove", "drop the guards"],
  ] as const) {
    guard
      .command(name)
      .description(description)
      .requiredOption("--map <file>", "the shard map")
      .option("--json", "print one JSON document")
      .action(async (flags) => await (await import("./guard.ts")).guard(name, flags));
  }
}
