/** What proxies and clients do, what faults do to them, and how time passes. */
import { isTrafficHeld } from "../../../migration/machine/life.ts";
import type { Row, Rows } from "./rows.ts";
import type { Take } from "./search.ts";
import { BYPASS_BIT, bypassedServer, rowOf, serverName } from "./servers.ts";
import type { Server } from "./servers.ts";
import { acknowledged, DONE, FAILED, withItem, withServer } from "./world.ts";
import type { Client, Form, Proxy, Statement, World } from "./world.ts";

export function trafficActions(world: World, rows: Rows, form: Form, take: Take): void {
  for (const index of [0, 1] as const) {
    proxyActions(world, rows, index, take);
    clientActions(world, rows, index, take);
  }
  bypassActions(world, rows, take);
  if (world.now < form.timeSteps) take("time passes", { ...world, now: world.now + 1 });
  const { migration } = rows.row(world.row);
  if (!world.isHoldEnded && isTrafficHeld(migration) && rows.isOverdue(world.row, world.now))
    take("somebody ends the hold", { ...world, isHoldEnded: true });
  if (world.faultsLeft > 0) faults({ ...world, faultsLeft: world.faultsLeft - 1 }, rows, take);
}

function proxyActions(world: World, rows: Rows, index: 0 | 1, take: Take): void {
  const proxy = world.proxies[index];
  const set = (label: string, next: Proxy): void =>
    take(`proxy ${index} ${label}`, { ...world, proxies: withItem(world.proxies, index, next) });
  const row = rows.row(world.row);
  if (!proxy.isUp) {
    if (proxy.hasLease) set("has no lease any more", { ...proxy, hasLease: false });
    return set(
      "starts",
      following(row, world, { ...proxy, told: NOTHING, toldOpen: 0, toldHold: 0 }),
    );
  }
  // One round trip tells what it has applied, and brings what there is to follow.
  const toldOpen = openTransactions(world.clients[index]);
  const told = { told: proxy.revision, toldOpen, toldHold: proxy.hold };
  const next = following(row, world, { ...proxy, ...told });
  if (!isSame(next, proxy)) set("renews its lease", next);
}

/** No revision: what a proxy has told that has just started. */
const NOTHING = -1;

function following(row: Row, world: World, proxy: Proxy): Proxy {
  const { revision, owner, migration } = row;
  const hold = row.isHeld && !world.isHoldEnded ? migration.ticket : 0;
  return { ...proxy, isUp: true, revision, owner, hold, hasLease: true };
}

function isSame(one: Proxy, other: Proxy): boolean {
  return (
    one.revision === other.revision &&
    one.hold === other.hold &&
    one.told === other.told &&
    one.toldOpen === other.toldOpen &&
    one.toldHold === other.toldHold &&
    one.hasLease === other.hasLease
  );
}

/** Of writes nobody need know: the fence waits for them. */
function openTransactions({ read }: Client): number {
  return Number("server" in read);
}

function clientActions(world: World, rows: Rows, index: 0 | 1, take: Take): void {
  const { write, read } = world.clients[index];
  const proxy = world.proxies[index];
  // A held statement is one that is not sent yet; a proxy without a lease refuses it.
  const passes = proxy.isUp && proxy.hasLease && proxy.hold === 0;
  const { layout } = rows;
  const bit = index + 1;
  const set = (label: string, changed: Partial<Client>, after = world): void => {
    const clients = withItem(world.clients, index, { ...world.clients[index], ...changed });
    take(`client ${index} ${label}`, { ...after, clients });
  };
  const sentTo = (row: 0 | 1, floor: number): Statement => ({
    phase: "sent",
    server: layout.places[proxy.owner][row],
    floor,
  });
  // All read the first row.
  const floor = acknowledged(world) & layout.bits[0];
  if (write.phase === "todo" && passes)
    set("sends a write", { write: sentTo(rowOf(layout, bit), 0) });
  if (write.phase === "sent") {
    if (isRefused(world, rows, write.server)) set("meets the fence", { write: FAILED });
    else set("has its lock", { write: { ...write, phase: "locked" } });
  }
  if (write.phase === "locked")
    set(
      `commits on the ${serverName(write.server)}`,
      { write: DONE },
      committed(world, write.server, bit),
    );
  if (read.phase === "todo" && passes) set("sends a read", { read: sentTo(0, floor) });
  if (read.phase === "sent")
    set(`reads from the ${serverName(read.server)}`, { read: { ...read, phase: "idle" } });
  // A transaction that is under way goes on, hold or not, as long as there is a lease.
  if (read.phase === "idle")
    if (proxy.hasLease) set("reads again", { read: { ...read, phase: "rereading", floor } });
    else set("is refused", { read: FAILED });
  if (read.phase === "rereading")
    set(`reads again from the ${serverName(read.server)}`, { read: DONE });
}

function committed(world: World, server: Server, bit: number): World {
  const state = world.servers[server];
  return withServer(world, server, {
    ...state,
    bits: state.bits | bit,
    log: [...state.log, bit],
  });
}

function isRefused(world: World, rows: Rows, server: Server): boolean {
  return world.servers[server].isFenced && rows.rules.fenceRefuses;
}

/** A session of a source's own, which hears of nothing. */
function bypassActions(world: World, rows: Rows, take: Take): void {
  const server = bypassedServer(rows.layout);
  if (world.bypass === "todo") {
    const bypass = isRefused(world, rows, server) ? "failed" : "locked";
    take(`the bypassing client ${bypass === "failed" ? "meets the fence" : "has its lock"}`, {
      ...world,
      bypass,
    });
  }
  if (world.bypass === "locked")
    take("the bypassing client commits", {
      ...committed(world, server, BYPASS_BIT),
      bypass: "done",
    });
}

function faults(world: World, rows: Rows, take: Take): void {
  for (const index of [0, 1] as const) {
    const [orchestrator, proxy] = [world.orchestrators[index], world.proxies[index]];
    const client = world.clients[index];
    // It comes back later, knowing nothing; what it had sent is still under way.
    if (orchestrator.isUp && orchestrator.seen !== -1)
      take(
        `orchestrator ${index} is killed`,
        {
          ...world,
          orchestrators: withItem(world.orchestrators, index, { isUp: false, seen: -1, next: -1 }),
        },
        "fault",
      );
    // A write that was sent goes on to its commit: the stricter of the two cases.
    if (proxy.isUp)
      take(
        `proxy ${index} is killed`,
        {
          ...world,
          proxies: withItem(world.proxies, index, { ...proxy, isUp: false }),
          clients: withItem(world.clients, index, {
            ...client,
            read: "server" in client.read ? FAILED : client.read,
          }),
        },
        "fault",
      );
    // Stopped or cut off for longer than its lease, and back later.
    if (proxy.isUp && proxy.hasLease)
      take(
        `proxy ${index} loses its lease`,
        // Its transactions are over for good: they may not go on under a later lease.
        {
          ...world,
          proxies: withItem(world.proxies, index, { ...proxy, hasLease: false }),
          clients: withItem(world.clients, index, {
            ...client,
            read: "server" in client.read ? FAILED : client.read,
          }),
        },
        "fault",
      );
  }
  for (const server of rows.layout.all)
    take(`the ${serverName(server)} crashes`, crashed(world, rows, server), "fault");
}

/** Transactions that were open are undone, what was sent and not begun is gone. */
function crashed(world: World, rows: Rows, server: Server): World {
  const end = (statement: Statement): Statement =>
    "server" in statement && statement.server === server ? FAILED : statement;
  const ended = ({ write, read }: Client): Client => ({ write: end(write), read: end(read) });
  const isBypassed = server === bypassedServer(rows.layout);
  return {
    ...withServer(world, server, { ...world.servers[server], fencesSent: 0, unfencesSent: 0 }),
    clients: [ended(world.clients[0]), ended(world.clients[1])],
    bypass: isBypassed && world.bypass === "locked" ? "failed" : world.bypass,
  };
}
