/**
 * `colonnade migrate start|pause|resume|resync|cutover|rollback|complete|cancel`: what an operator
 * asks of a migration. Each changes its row alone, and may be given again; the work is done by
 * whoever runs the migration.
 */
import { userInfo } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import {
  FLEET_ACK_POLL_MS,
  MIGRATION_AT_MAX_MS,
  MIGRATION_CUTOVER_WAIT_MS,
} from "../../base/limits.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import { announceHold, findHold } from "../../control/holds.ts";
import { controlNowMs, readEvents, readMigration } from "../../control/migration-store.ts";
import { isOrchestrated } from "../../control/orchestrator-lock.ts";
import type { LoggedEvent } from "../../control/migration-store.ts";
import { isTrafficHeld } from "../../migration/machine/life.ts";
import type { Migration } from "../../migration/machine/life.ts";
import { placementIdsOf } from "../../migration/orchestrator/scene.ts";
import { otherMapInForce } from "../../migration/orchestrator/next-map.ts";
import { runMigration } from "../../migration/orchestrator/run-migration.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { CommandFailure } from "../failure.ts";
import { printJson, printLines } from "../output.ts";
import { Interruption, runOptions } from "./run.ts";
import { knownMigration, knownMigrations, obey } from "./stored-migrations.ts";
import type { KnownMigration } from "./stored-migrations.ts";
import { blockersOf } from "./blockers.ts";
import { compared } from "./verify.ts";
import { writersInside } from "./writers-inside.ts";

export interface CommandFlags extends ControlFlags {
  readonly dryRun?: true;
}

interface Answer {
  readonly name: string;
  readonly state: string;
  readonly changed: boolean;
}

/** Those that only change the row. Exit code 1 where the migration cannot obey now. */
export async function rowCommand(
  kind: "pause" | "resume" | "resync" | "cancel",
  names: readonly string[],
  flags: CommandFlags,
): Promise<void> {
  const isDry = flags.dryRun === true;
  const answers = await withControl(flags, async (database) => {
    const done: Answer[] = [];
    for (const known of await knownMigrations(database, names)) {
      const { migration, changed } = await obey(database, known, { kind }, { isDry });
      done.push({ name: migration.name, state: migration.life.state, changed });
    }
    return done;
  });
  printAnswers(answers, flags);
}

/** What was moved is compared once more before the way back is closed. Exit code 1 where rows differ. */
export async function completeCommand(name: string, flags: CommandFlags): Promise<void> {
  const isDry = flags.dryRun === true;
  using interruption = new Interruption();
  const answer = await withControl(flags, async (database) => {
    const known = await knownMigration(database, name);
    const { life } = known.stored.document;
    const isAlike = life.state === "reversible" && life.reverse === "live";
    const { differences } = isAlike
      ? await compared(database, known, "exact", interruption.signal)
      : { differences: [] };
    const fresh = await knownMigration(database, name);
    const command = { kind: "complete", blockers: differences } as const;
    const { migration, changed } = await obey(database, fresh, command, {
      isDry,
    });
    return { name, state: migration.life.state, changed };
  });
  printAnswers([answer], flags);
}

function printAnswers(answers: readonly Answer[], flags: CommandFlags): void {
  const isDry = flags.dryRun === true;
  if (flags.json === true) return printJson(answers);
  printLines(
    answers.map(({ name, state, changed }) =>
      changed ? `${name} ${isDry ? "would be" : "is"} ${state}` : `${name} is ${state} already`,
    ),
  );
}

export interface StartFlags extends CommandFlags {
  /** Leave the work to `colonnade orchestrate`. */
  readonly background?: true;
}

/** Starts it, or goes on with it, and runs it until it is over or the command is interrupted. */
export async function startCommand(name: string, flags: StartFlags): Promise<void> {
  const isDry = flags.dryRun === true;
  const { migration, changed } = await withControl(flags, async (database) => {
    const known = await knownMigration(database, name);
    const isPlanned = known.stored.document.life.state === "planned";
    const otherMap = isPlanned ? await otherMapInForce(database, known.plan, "forward") : undefined;
    if (otherMap !== undefined) throw new CommandFailure(`${name} is not to start: ${otherMap}`, 1);
    return await obey(database, known, { kind: "start" }, { isDry });
  });
  const { state } = migration.life;
  if (isDry || flags.background === true || state === "completed") {
    if (flags.json === true) return printJson({ name, state, changed });
    return printLines([
      `${name} ${isDry && changed ? "would be" : "is"} ${state}${changed ? "" : " already"}`,
    ]);
  }
  using interruption = new Interruption();
  const ending = await runMigration(runOptions(flags, name), interruption.signal).catch(
    (error: unknown) => {
      if (interruption.signal.aborted) return { kind: "interrupted" as const };
      throw error;
    },
  );
  if (ending.kind === "interrupted" || ending.kind === "over") return;
  throw new CommandFailure(
    ending.kind === "busy"
      ? `another process runs ${name}: colonnade migrate status ${name} --watch`
      : `another process has taken ${name} over`,
  );
}

export interface CutoverFlags extends CommandFlags {
  /** Not before it, by the clock of the control schema's server. */
  readonly at?: Date;
  /** The old side refuses reads, too. */
  readonly fenceReads?: true;
}

interface CutoverResult {
  readonly name: string;
  readonly state: string;
  /** False where the rows are there already, or nothing was to be done. */
  readonly changed: boolean;
  /** From the first statement that was held to the last; undefined where nothing was held. */
  readonly pausedMs: number | undefined;
  readonly events: readonly LoggedEvent[];
  /** Sentences: where it was given up, who was writing and did not end. */
  readonly inTheWay?: readonly string[];
}

/**
 * Cuts over, or rolls back, and tells how it ended. Exit code 1 where it was given up: service is
 * where it was then, and the reason is in the log.
 */
export async function cutoverCommand(
  kind: "cutover" | "rollback",
  name: string,
  flags: CutoverFlags,
): Promise<void> {
  const due = kind === "cutover" ? "reversible" : "rolledBack";
  if (flags.at !== undefined && flags.dryRun !== true) await untilDue(kind, name, flags, flags.at);
  const fencesReads = flags.fenceReads === true;
  const result = await withControl(flags, async (database) => {
    const known = await knownMigration(database, name);
    const blockers = await blockersIn(database, known, kind);
    const isDry = flags.dryRun === true;
    const command = { kind, blockers, fencesReads };
    const { changed } = await obey(database, known, command, { isDry: true });
    const { state } = known.stored.document.life;
    if (isDry || !changed) return { name, state, changed, pausedMs: undefined, events: [] };
    const request = { name, placements: placementIdsOf(known), requestedBy: userInfo().username };
    await endAnnounced(database, name);
    const hold = await announceHold(database, request);
    try {
      const fresh = await knownMigration(database, name);
      await obey(database, fresh, { ...command, blockers: [] }, { isDry: false });
    } catch (error) {
      await hold.resume();
      throw error;
    }
    await untilRestored(database, name);
    // Of an attempt that never began, it is only announced.
    await hold.resume();
    const ended = await resultOf(database, name);
    if (ended.state === due) return ended;
    const direction = kind === "cutover" ? "forward" : "back";
    return { ...ended, inTheWay: await writersInside(database, known, direction) };
  });
  const willBe = kind === "cutover" ? "cut over" : "rolled back";
  if (flags.json === true) printJson(result);
  else if (!result.changed) printLines([`${name} is ${result.state} already`]);
  else if (flags.dryRun === true)
    printLines([`${name} is ${result.state}, and would be ${willBe}`]);
  else printLines(lines(result));
  if (flags.dryRun === true || !result.changed || result.state === due) return;
  const why = (result.inTheWay ?? []).map((sentence) => `\n  ${sentence}`);
  throw new CommandFailure(
    `${name} is ${result.state}: the ${kind} was given up${why.join("")}`,
    1,
  );
}

/** By a command that died, or is about to ask for the very same: while the migration is ready, no attempt has use for it. */
async function endAnnounced(database: ControlDatabase, name: string): Promise<void> {
  const left = await findHold(database, name);
  if (left?.isStarted === false) await left.hold.resume();
}

/**
 * Waits for the time, in the foreground: interrupted, nothing is done. What stands in the way now
 * is told now, while somebody is there to hear it. Exit code 1 where the time is over, or interrupted.
 */
async function untilDue(
  kind: "cutover" | "rollback",
  name: string,
  flags: CutoverFlags,
  at: Date,
): Promise<void> {
  using interruption = new Interruption();
  const restMs = await withControl(flags, async (database) => {
    const known = await knownMigration(database, name);
    const blockers = await blockersIn(database, known, kind);
    await obey(database, known, { kind, blockers, fencesReads: false }, { isDry: true });
    return at.getTime() - (await controlNowMs(database));
  });
  if (restMs < 0) throw new CommandFailure(`${at.toISOString()} is over: name a time to come`, 1);
  if (restMs > MIGRATION_AT_MAX_MS)
    throw new CommandFailure(
      `${at.toISOString()} is more than ${MIGRATION_AT_MAX_MS / 3_600_000} hours away`,
      1,
    );
  if (flags.json !== true) printLines([`${name}: ${kind} at ${at.toISOString()}`]);
  const { signal } = interruption;
  await sleep(restMs, undefined, { signal }).catch(() => undefined);
  if (signal.aborted) throw new CommandFailure(`interrupted: ${name} is as it was`, 1);
}

/** Asked for only where the state allows it at all. */
async function blockersIn(
  database: ControlDatabase,
  known: KnownMigration,
  kind: "cutover" | "rollback",
): Promise<readonly string[]> {
  const { state } = known.stored.document.life;
  if (state !== (kind === "cutover" ? "ready" : "reversible")) return [];
  return await blockersOf(database, known, kind === "cutover" ? "forward" : "back");
}

/** Until no statement waits any more, on whichever side service is. Exit code 2 where nobody brings it to an end. */
async function untilRestored(database: ControlDatabase, name: string): Promise<void> {
  const deadlineMs = performance.now() + MIGRATION_CUTOVER_WAIT_MS;
  for (;;) {
    const { document } = await readMigration<Migration>(database, name);
    if (document.life.state === "stopped") return;
    const isRestored = !isTrafficHeld(document) && document.life.state !== "retreating";
    // The hold ends a moment after the row says so, or by its deadline.
    if (isRestored && (await findHold(database, name)) === undefined) return;
    if (performance.now() > deadlineMs) throw await unended(database, document);
    await sleep(FLEET_ACK_POLL_MS);
  }
}

/** Its orchestrator has died, or waits for a server. */
async function unended(
  database: ControlDatabase,
  { name, life }: Migration,
): Promise<CommandFailure> {
  const what = (await isOrchestrated(database, name))
    ? `its orchestrator has not ended the cutover: colonnade migrate status ${name}`
    : `no process runs it, so nobody ends the cutover: colonnade migrate start ${name}, or colonnade orchestrate`;
  return new CommandFailure(
    `${name} is ${life.state} after ${MIGRATION_CUTOVER_WAIT_MS / 1000} s, and ${what}`,
  );
}

const EVENTS_OF_AN_ATTEMPT = 12;

async function resultOf(database: ControlDatabase, name: string): Promise<CutoverResult> {
  const { document } = await readMigration<Migration>(database, name);
  const events = await readEvents(database, name, EVENTS_OF_AN_ATTEMPT);
  const from = events.findLastIndex(({ what }) => what === "cutover" || what === "rollback");
  const own = from < 0 ? [] : events.slice(from);
  const [row] = await database.query(
    `SELECT extract(epoch FROM ended_at - started_at) * 1000 FROM colonnade.hold WHERE name = ${quoteLiteral(name)} AND started_at IS NOT NULL AND ended_at IS NOT NULL ORDER BY attempt DESC LIMIT 1`,
  );
  const pausedMs = row === undefined ? undefined : Math.round(Number(row[0]));
  return { name, state: document.life.state, changed: true, pausedMs, events: own };
}

function lines({ name, state, pausedMs, events }: CutoverResult): readonly string[] {
  return [
    ...events.map(({ at, what, state: into }) => `  ${at} UTC  ${what}: ${into}`),
    `${name} is ${state}${pausedMs === undefined ? "" : `; statements waited for ${pausedMs} ms at most`}`,
  ];
}
