/**
 * What a cutover, a rollback and a retreat do on servers and proxies; see MIGRATIONS 4.7. Each
 * function looks or acts once; who calls it does so again until the machine has gone on.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { FENCE_LOCK_TIMEOUT_MS, MIGRATION_CUTOVER_POLL_MS } from "../../base/limits.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { follows, listProxies } from "../../control/fleet-state.ts";
import type { FleetHold } from "../../control/holds.ts";
import { holdsBack } from "../../control/kept-hold.ts";
import type { StartedHold } from "../../control/kept-hold.ts";
import type { LeaseWatch } from "../../control/lease-watch.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { fenceMarker, isFenceUp, lowerFence, raiseFence, ticketOfMarker } from "../fence.ts";
import type { MarkerSeen, Observation, ProxySeen } from "../machine/events.ts";
import { givingSide } from "../machine/life.ts";
import type { Direction, Migration, ServerIdentity, Side } from "../machine/life.ts";
import { isCopied, targetDatabases } from "../move.ts";
import type { Move } from "../move.ts";
import { sourceDatabases, targetDatabasesOf } from "../plan/planned-migration.ts";
import { advanceSequences, readSequences } from "../sequences.ts";
import { openTarget } from "../sessions.ts";
import { describeMove } from "../source-tables.ts";
import { compareFenced } from "./fenced-rows.ts";
import type { Streams } from "./streams.ts";
import { passMarkers } from "./work.ts";
import { copiedFencesOf, databaseOf, fencesOf, movesOf, Sessions } from "./scene.ts";
import type { Scene } from "./scene.ts";

/** For the steps to come, as many as look at once; what they ask of catalogs is in their caches then. */
export async function openSessions(scene: Scene, signal: AbortSignal): Promise<void> {
  scene.kept.begin();
  const opened = Array.from({ length: SESSIONS_AT_ONCE }, () => new Sessions(scene, signal));
  try {
    const names = [...sourceDatabases(scene.plan), ...targetDatabasesOf(scene.plan)];
    await Promise.all(
      opened.map(async (sessions) => {
        await Promise.all([...new Set(names)].map((name) => sessions.to(name)));
        for (const move of scene.plan.moves)
          await describeMove(await sessions.to(move.source), move);
      }),
    );
  } finally {
    for (const sessions of opened) sessions[Symbol.dispose]();
  }
}

/** Of the check, which has most: rows of both sides with their sizes, sequences, and markers. */
const SESSIONS_AT_ONCE = 3;

/** Of a hold that has started: who obeys it, and with how many transactions still open. */
export async function proxiesOfHold(hold: FleetHold): Promise<readonly ProxySeen[]> {
  return (await hold.acks()).map(({ name, state, open }) => ({
    name,
    hasFollowed: state === "obeys",
    openTransactions: open,
    isHolding: state === "obeys" && open === 0,
    isLeaseDead: state === "refuses",
  }));
}

/**
 * Of a map that was put in force with `revision`, in the transaction that kept the hold `kept`: who serves it, and who
 * still holds back.
 */
export async function proxiesOfRevision(
  { control }: Pick<Scene, "control">,
  revision: number,
  kept: StartedHold | undefined,
  watch: LeaseWatch,
): Promise<readonly ProxySeen[]> {
  const proxies = await listProxies(control);
  const nowMs = performance.now();
  watch.observe(proxies, nowMs);
  return proxies.map((proxy) => ({
    name: proxy.name,
    hasFollowed: follows(proxy, revision),
    openTransactions: 0,
    isHolding: kept !== undefined && holdsBack(proxy, kept),
    isLeaseDead: watch.hasRunOut(proxy, nowMs),
  }));
}

const LOCK_NOT_AVAILABLE = "55P03";

/** Tried until the writers inside have ended; undefined where a higher ticket was seen. */
export async function fence(
  scene: Scene,
  side: Side,
  { ticket, policy }: Pick<Migration, "ticket" | "policy">,
  signal: AbortSignal,
): Promise<readonly ServerIdentity[] | undefined> {
  using sessions = new Sessions(scene, signal);
  const direction: Direction = side === "sources" ? "forward" : "back";
  const identities: ServerIdentity[] = [];
  // Before the markers: who writes to a copied table has committed by then, too.
  if (side === "sources")
    for (const [database, copied] of copiedFencesOf(scene)) {
      const connection = await sessions.to(database);
      const more = { markers: [], lockTimeoutMs: FENCE_LOCK_TIMEOUT_MS };
      if (!(await retried(signal, () => raiseFence(connection, copied, ticket, more))))
        return undefined;
    }
  for (const [database, own] of fencesOf(scene, side)) {
    const connection = await sessions.to(database);
    const markers = movesOf(scene, direction)
      .filter(({ source }) => source === database)
      .map(({ name }) => fenceMarker(name, ticket));
    const isRaised = await retried(
      signal,
      async () =>
        await raiseFence(connection, own, ticket, {
          markers,
          lockTimeoutMs: FENCE_LOCK_TIMEOUT_MS,
          refusesReads: policy.fencesReads,
        }),
    );
    if (!isRaised) return undefined;
    identities.push(await identityOf(connection));
  }
  return identities;
}

export async function unfence(
  scene: Scene,
  side: Side,
  ticket: number,
  signal: AbortSignal,
): Promise<void> {
  using sessions = new Sessions(scene, signal);
  if (side === "targets") await closeCopies(scene, sessions);
  for (const [database, own] of [...fencesOf(scene, side), ...copiedFencesOf(scene)]) {
    const connection = await sessions.to(database);
    await retried(
      signal,
      async () => await lowerFence(connection, own, ticket, FENCE_LOCK_TIMEOUT_MS),
    );
  }
}

/**
 * From here on proxies write to the copies themselves. An applier that somebody still runs, or
 * that goes on after it was stopped, would do the same once more: its progress is taken away.
 */
async function closeCopies({ plan }: Scene, sessions: Sessions): Promise<void> {
  for (const move of plan.moves.filter(({ tables }) => tables.some(isCopied)))
    for (const database of targetDatabases(move))
      await (
        await sessions.to(database)
      ).query(`DELETE FROM colonnade.move_progress WHERE move = ${quoteLiteral(move.name)}`);
}

async function retried<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof BackendError) || error.fields.C !== LOCK_NOT_AVAILABLE) throw error;
    }
    await sleep(MIGRATION_CUTOVER_POLL_MS, undefined, { signal });
  }
}

/** Looks until the signal aborts, and tells each time that somebody has come further. */
export async function watchMarkers(
  scene: Scene,
  direction: Direction,
  ticket: number,
  tell: (markers: readonly MarkerSeen[]) => void,
  signal: AbortSignal,
): Promise<void> {
  using sessions = new Sessions(scene, signal);
  const moves = movesOf(scene, direction);
  const [sources, targets] = [sourceDatabases(scene.plan), targetDatabasesOf(scene.plan)];
  const [givers, takers] = direction === "forward" ? [sources, targets] : [targets, sources];
  for (;;) {
    const seen: MarkerSeen[] = [];
    for (const giver of givers)
      for (const taker of takers) {
        // Where no move leads, nothing has to arrive.
        const due = moves.filter(
          (move) => move.source === giver && targetDatabases(move).includes(taker),
        );
        const tickets = [ticket];
        for (const { name } of due)
          tickets.push(await storedTicket(await sessions.to(taker), name));
        seen.push({ giver, taker, ticket: Math.min(...tickets) });
      }
    tell(seen);
    await sleep(MIGRATION_CUTOVER_POLL_MS, undefined, { signal });
  }
}

/** Of the last fence's marker that the target has durably; -1 for none. */
async function storedTicket(target: BackendConnection, move: string): Promise<number> {
  const { rows } = await target.query(
    `SELECT marker FROM colonnade.move_progress WHERE move = ${quoteLiteral(move)}`,
  );
  const [prefix = "", ...content] = (rows[0]?.[0] ?? "").split(" ");
  return ticketOfMarker(move, { prefix, content: content.join(" ") }) ?? -1;
}

/**
 * Sequences of the taking side, the rows of both, and what anybody else wrote to targets up to now;
 * then the giving servers over new connections, last of all (R37).
 */
export async function check(
  scene: Scene,
  streams: Streams,
  { direction, ticket }: { readonly direction: Direction; readonly ticket: number },
  signal: AbortSignal,
): Promise<Observation> {
  const streamed = await streams.using(direction, signal, (running) =>
    Promise.resolve(running.map(({ move }) => move)),
  );
  const [differences] = await Promise.all([
    compareFenced(scene, direction, signal, direction === "forward" ? streamed : undefined),
    takeSequencesOver(scene, streamed, signal),
    direction === "forward" ? passMarkers(scene, streams, "back", signal) : undefined,
  ]);
  const fencedGivers = await stillFenced(scene, direction, ticket, signal);
  return {
    kind: "checked",
    ticket,
    differences: differences.slice(0, DIFFERENCES_TOLD),
    fencedGivers,
  };
}

/** More of them say no more. */
const DIFFERENCES_TOLD = 3;

async function takeSequencesOver(
  scene: Scene,
  moves: readonly Move[],
  signal: AbortSignal,
): Promise<void> {
  using sessions = new Sessions(scene, signal);
  for (const move of moves) {
    const giver = await sessions.to(move.source);
    const states = await readSequences(giver, move);
    if (states.length === 0) continue;
    const [row] = (await giver.query("SHOW max_connections")).rows;
    for (const name of targetDatabases(move))
      await advanceSequences(await sessions.to(name), move, states, Number(row?.[0]));
  }
}

async function stillFenced(
  scene: Scene,
  direction: Direction,
  ticket: number,
  signal: AbortSignal,
): Promise<readonly ServerIdentity[]> {
  const givers = await Promise.all(
    fencesOf(scene, givingSide(direction)).map(async ([database, own]) => {
      const fresh = await openTarget(databaseOf(scene, database), signal);
      try {
        return (await isFenceUp(fresh, own, ticket)) ? [await identityOf(fresh)] : [];
      } finally {
        fresh.close();
      }
    }),
  );
  return givers.flat();
}

/** The timeline is that of the log that is being written, and not of the last checkpoint. */
async function identityOf(connection: BackendConnection): Promise<ServerIdentity> {
  const { rows } = await connection.query(
    "SELECT system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()",
  );
  const [systemId, timeline] = rows[0] ?? [];
  return {
    database: connection.database,
    systemId: systemId ?? "",
    timeline: Number.parseInt(timeline ?? "", 16),
  };
}
