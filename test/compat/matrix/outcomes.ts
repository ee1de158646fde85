/**
 * What came of each program when it last ran with `--write`: outcomes.json, by the program's
 * folder. A program may so be run again by itself, and the page is made of all of them.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ROOT } from "../../tidy/sources.ts";

const checkOutcome = z.object({
  outcome: z.enum(["passed", "failed", "absent"]),
  detail: z.string().optional(),
});

const outcome = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("skipped"), missing: z.string() }),
  z.object({
    kind: z.literal("ran"),
    version: z.string(),
    /** Of the proxy, by check. */
    checks: z.record(z.string(), checkOutcome),
    /** What was asked and answered otherwise, as reviewed. */
    differing: z.array(z.string()),
  }),
]);

export type Outcome = z.output<typeof outcome>;

const FILE = join(ROOT, "test", "compat", "matrix", "outcomes.json");
export const PAGE = join(ROOT, "docs", "compatibility.md");

export async function readOutcomes(): Promise<Readonly<Record<string, Outcome>>> {
  return z.record(z.string(), outcome).parse(JSON.parse(await readFile(FILE, "utf8")));
}

export async function writeOutcomes(outcomes: Readonly<Record<string, Outcome>>): Promise<void> {
  const sorted = Object.entries(outcomes).toSorted(([left], [right]) => (left < right ? -1 : 1));
  await writeFile(FILE, `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
}
