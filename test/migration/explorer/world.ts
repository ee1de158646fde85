/**
 * Everything that matters while one row moves from a source to a target, or two rows from two
 * sources to one or from one to two targets: the servers, the control row, two orchestrators,
 * two proxies, each with a client that writes once and reads once, and a client of a source that
 * knows no proxy. Immutable; small numbers throughout.
 *
 * A row's value is the set of the writes it has seen, as bits: what is lost is a missing bit.
 */
import type { Side } from "../../../migration/machine/life.ts";
import { BYPASS_BIT, bypassedServer } from "./servers.ts";
import type { Counts, Layout, Pair, Server } from "./servers.ts";

export interface World {
  /** Of the control schema: numbers are those of Rows. */
  readonly row: number;
  /** Whether somebody has ended the hold of the present ticket, as anybody may after its deadline. */
  readonly isHoldEnded: boolean;
  readonly now: number;
  readonly orchestrators: Pair<Orchestrator>;
  /** By number; those that a walk has no use for stay as they are. */
  readonly servers: readonly [ServerState, ServerState, ServerState, ServerState];
  readonly proxies: Pair<Proxy>;
  readonly clients: Pair<Client>;
  readonly bypass: Bypass;
  readonly faultsLeft: number;
  readonly cutoversLeft: number;
  readonly rollbacksLeft: number;
}

export interface Orchestrator {
  readonly isUp: boolean;
  /** The row as it last saw it; it may be stale. -1: it has none, and does nothing. */
  readonly seen: number;
  /** A row that it has decided on and not stored yet; -1: none. */
  readonly next: number;
}

export interface ServerState {
  readonly bits: number;
  readonly isFenced: boolean;
  /** The highest ticket it has seen. */
  readonly ticket: number;
  /** Tickets, as bits, of transactions that are under way: they may still come, whoever sent them. */
  readonly fencesSent: number;
  readonly unfencesSent: number;
  /** Since the world began: bits of clients' writes, and tickets as negative numbers for markers. */
  readonly log: readonly number[];
  /** How much of the log of the other side's first and second server is applied here. */
  readonly applied: Pair<number>;
}

export interface Proxy {
  readonly isUp: boolean;
  /** What it follows. */
  readonly revision: number;
  readonly owner: Side;
  /** The ticket of the hold that it obeys; 0: none. */
  readonly hold: number;
  /** What the control schema has been told. */
  readonly told: number;
  readonly toldOpen: number;
  readonly toldHold: number;
  /** Without it, it refuses the row by itself, and it knows so before orchestrators do. */
  readonly hasLease: boolean;
}

export interface Client {
  readonly write: Statement;
  readonly read: Statement;
}

/** A write is sent, has its table lock, and is committed; a transaction reads, is idle, and reads again. */
export type Statement =
  | { readonly phase: "todo" | "done" | "failed" }
  | {
      readonly phase: "sent" | "locked" | "idle" | "rereading";
      readonly server: Server;
      /** What was acknowledged when the reading statement was sent. */
      readonly floor: number;
    };

export type Bypass = "todo" | "locked" | "done" | "failed";

/** What bounds a search. */
export interface Form extends Counts {
  readonly faults: number;
  readonly cutovers: number;
  readonly rollbacks: number;
  /** How often time may pass all deadlines. */
  readonly timeSteps: number;
  /** Orchestrators decide and store in two steps, so that anything may happen in between. */
  readonly storesLate: boolean;
  readonly orchestrators: 1 | 2;
  /** How many of the two clients write: the first one before the second. */
  readonly writers: 0 | 1 | 2;
  /** How many of them read: the second one before the first. */
  readonly readers: 0 | 1 | 2;
  readonly bypasses: boolean;
}

export const NOT_YET: Statement = { phase: "todo" };
export const DONE: Statement = { phase: "done" };
export const FAILED: Statement = { phase: "failed" };

export function firstWorld(row: number, revision: number, form: Form): World {
  const server: ServerState = {
    bits: 0,
    isFenced: false,
    ticket: 0,
    fencesSent: 0,
    unfencesSent: 0,
    log: [],
    applied: [0, 0],
  };
  const fenced = { ...server, isFenced: true };
  const proxy: Proxy = {
    isUp: true,
    revision,
    owner: "sources",
    hold: 0,
    told: revision,
    toldOpen: 0,
    toldHold: 0,
    hasLease: true,
  };
  const client = (writers: number, readers: number): Client => ({
    write: form.writers >= writers ? NOT_YET : FAILED,
    read: form.readers >= readers ? NOT_YET : DONE,
  });
  return {
    row,
    isHoldEnded: false,
    now: 0,
    orchestrators: [
      { isUp: true, seen: row, next: -1 },
      { isUp: form.orchestrators === 2, seen: -1, next: -1 },
    ],
    // Who does not own the rows is fenced.
    servers: [server, fenced, server, fenced],
    proxies: [proxy, proxy],
    clients: [client(1, 2), client(2, 1)],
    bypass: form.bypasses ? "todo" : "failed",
    faultsLeft: form.faults,
    cutoversLeft: form.cutovers,
    rollbacksLeft: form.rollbacks,
  };
}

export function withItem<T>(pair: Pair<T>, index: 0 | 1, item: T): Pair<T> {
  return index === 0 ? [item, pair[1]] : [pair[0], item];
}

export function withServer(world: World, server: Server, state: ServerState): World {
  return { ...world, servers: world.servers.with(server, state) as unknown as World["servers"] };
}

/** Whether a server is the first or the second of its side. */
export function placeIn(server: Server): 0 | 1 {
  return server > 1 ? 1 : 0;
}

/** The highest ticket whose marker of `giver` a server has applied. */
export function markerApplied({ servers }: World, giver: Server, taker: Server): number {
  const log = servers[giver].log.slice(0, servers[taker].applied[placeIn(giver)]);
  return Math.max(0, ...log.map((entry) => -entry));
}

/** Writes that a client was told to be committed. */
export function acknowledged({ clients, bypass }: World): number {
  return (
    (clients[0].write.phase === "done" ? 1 : 0) |
    (clients[1].write.phase === "done" ? 2 : 0) |
    (bypass === "done" ? BYPASS_BIT : 0)
  );
}

/** Writers that F has to wait for. */
export function isLocked({ clients, bypass }: World, server: Server, layout: Layout): boolean {
  return (
    clients.some(({ write }) => write.phase === "locked" && write.server === server) ||
    (bypass === "locked" && server === bypassedServer(layout))
  );
}

/**
 * Equal for worlds that go on alike. Revisions and tickets never come back, so all that are not the present
 * ones are alike, and so is what a proxy tells of them.
 */
export function keyOf(
  world: World,
  revision: number,
  ticket: number,
  all: readonly Server[],
): string {
  const { orchestrators, servers, proxies, clients } = world;
  let key = `${world.row},${+world.isHoldEnded},${world.now},${world.faultsLeft},${world.cutoversLeft},${world.rollbacksLeft},${world.bypass[0]}`;
  for (const { isUp, seen, next } of orchestrators) key += `|${+isUp},${seen},${next}`;
  for (const number of all) {
    const server = servers[number];
    key += `|${server.bits},${+server.isFenced},${server.ticket},${server.fencesSent},${server.unfencesSent},${server.log.join(".")},${server.applied[0]},${server.applied[1]}`;
  }
  for (const proxy of proxies)
    key += `|${+proxy.isUp},${+(proxy.revision === revision)},${proxy.owner[0]},${holdKey(proxy.hold, ticket)},${+(proxy.told === revision)},${holdKey(proxy.toldHold, ticket)},${proxy.told === revision || proxy.toldHold === ticket ? proxy.toldOpen : "-"},${+proxy.hasLease}`;
  for (const { write, read } of clients) key += `|${statementKey(write)},${statementKey(read)}`;
  return key;
}

function holdKey(hold: number, ticket: number): string {
  if (hold === 0) return "-";
  return hold === ticket ? "now" : "old";
}

function statementKey(statement: Statement): string {
  return "server" in statement
    ? `${statement.phase[0]}${statement.server}${statement.floor}`
    : statement.phase;
}
