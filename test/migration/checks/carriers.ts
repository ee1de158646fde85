/**
 * Check 19: the design's double writes are not built. What holds instead is that whoever asks for another
 * carrier than the log is refused by name, and that nothing comes of it in any database.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Fleet, Orchestrator } from "../../../cli/rehearse/fleet.ts";
import { loadSchema } from "../../../cli/rehearse/load.ts";
import { firstOf, SPLIT_NAME, splitOptions } from "./check.ts";
import type { Context } from "./check.ts";
import { catalogFingerprint, differing } from "./fingerprint.ts";

const REFUSALS: Readonly<Record<string, RegExp>> = {
  "double-write": /carrier double-write is refused, wal is the only one: .+ Set wal_level/,
  "trigger-log": /carrier trigger-log is refused, wal is the only one: .+ Set wal_level/,
};
/** So many looks for a migration that is ready. */
const LOOKS = 600;

export async function otherCarriers(context: Context): Promise<void> {
  const { from, to, statements } = await splitOptions(context);
  await using fleet = await Fleet.start({ from, to, proxyCount: 1 });
  await loadSchema(fleet, statements, () => [1, 2, 3], context.signal);
  await fleet.serve();
  const next = fleet.mapFile("to", 2);
  const orchestrator = new Orchestrator(fleet, () => undefined);
  try {
    const before = await everything(fleet);
    const wrong: string[] = [];
    for (const [carrier, refusal] of Object.entries(REFUSALS)) {
      const asked = ["migrate", "plan", "--to", next, "--carrier", carrier];
      const { code, stdout, stderr } = await fleet.run(...asked);
      if (code !== 1 || stdout !== "" || !refusal.test(stderr))
        wrong.push(`${carrier} ended with ${code}: ${stdout}${stderr}`);
    }
    const made = differing(before, await everything(fleet));
    const seen = await seenOfTheLog(fleet, next, before);
    context.tell(
      19,
      wrong.length === 0 && made.length === 0 && seen.length === 0,
      `moves by double writes are not built, nor by a log of triggers: ${Object.keys(REFUSALS).join(" and ")} asked for, ${wrong.length} not refused by name with reason and remedy; ${made.length} of ${before.size} entries of all catalogs and of the control schema differ afterwards; of what a migration by the log makes, the same look missed ${seen.length}${firstOf([...wrong, ...made, ...seen])}`,
    );
  } finally {
    await orchestrator.stop();
  }
}

/** What the log's migration makes, and is not seen by the look that found nothing before. */
async function seenOfTheLog(
  fleet: Fleet,
  next: string,
  before: ReadonlySet<string>,
): Promise<readonly string[]> {
  await fleet.require("migrate", "plan", "--to", next, "--carrier", "wal");
  await fleet.require("migrate", "start", SPLIT_NAME, "--background");
  await untilReady(fleet);
  const found = differing(before, await everything(fleet)).filter((entry) =>
    entry.startsWith("new: "),
  );
  return ["slot ", "publication ", "trigger ", "rows of colonnade.migration "].filter(
    (what) => !found.some((entry) => entry.includes(`: ${what}`)),
  );
}

async function untilReady(fleet: Fleet): Promise<void> {
  for (let look = 0; look < LOOKS; look += 1) {
    const [row] = await fleet.askControl("SELECT state FROM colonnade.migration");
    if (row?.["state"] === "ready") return;
    await sleep(100);
  }
  throw new Error(`${SPLIT_NAME} did not become ready`);
}

/** The catalogs, and how many rows each table of our own schema has. */
async function everything(fleet: Fleet): Promise<ReadonlySet<string>> {
  const entries = new Set(await catalogFingerprint(fleet));
  for (const database of fleet.databases) {
    const tables = await fleet.query(
      database,
      "SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace('colonnade') AND relkind = 'r'",
    );
    for (const { name } of tables) {
      const sql = `SELECT count(*)::int AS n FROM colonnade.${String(name)}`;
      const [row] = await fleet.query(database, sql);
      entries.add(`${database}: rows of colonnade.${String(name)} ${String(row?.["n"])}`);
    }
  }
  return entries;
}
