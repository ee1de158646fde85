/** What orchestrators do, and what becomes on a server of what they have sent. */
import { invariant } from "../../../base/invariant.ts";
import type { Effect } from "../../../migration/machine/effects.ts";
import type { Event } from "../../../migration/machine/events.ts";
import { givingSide } from "../../../migration/machine/life.ts";
import { indexOf, serverName } from "./rows.ts";
import type { Rows, Server } from "./rows.ts";
import type { Take } from "./search.ts";
import { isLocked, markerApplied, otherServer, withItem } from "./world.ts";
import type { Form, Orchestrator, World } from "./world.ts";

/** The first holds epoch 1; the second may think it dead at any time, and each may be killed after its claim. */
function epochsMax({ faults }: Form): number {
  return faults > 1 ? 2 * faults + 1 : 3;
}

export function orchestratorActions(world: World, rows: Rows, form: Form, take: Take): void {
  for (const index of [0, 1] as const) {
    const orchestrator = world.orchestrators[index];
    if (index < form.orchestrators) claim(world, rows, index, form, take);
    if (orchestrator.seen === -1) continue;
    if (orchestrator.next !== -1) {
      take(`orchestrator ${index} stores`, stored(world, rows, index, orchestrator.next));
      continue;
    }
    const decide: Decide = (label, key, event, spend) => {
      const next = rows.after(orchestrator.seen, world.now, key, event);
      if (next === undefined) return;
      const spent = spend === undefined ? world : { ...world, ...spend };
      take(
        `orchestrator ${index}: ${label}`,
        form.storesLate
          ? changed(spent, index, { ...orchestrator, next })
          : stored(spent, rows, index, next),
      );
    };
    decide("looks at the clock", "tick", () => ({ kind: "tick" }));
    command(world, decide);
    for (const effect of rows.row(orchestrator.seen).effects)
      perform(world, rows, index, effect, decide, take);
  }
  for (const server of [0, 1] as const) landings(world, rows, server, take);
}

type Decide = (label: string, key: string, event: () => Event, spend?: Partial<World>) => void;

function changed(world: World, index: 0 | 1, orchestrator: Orchestrator): World {
  return { ...world, orchestrators: withItem(world.orchestrators, index, orchestrator) };
}

/** Compare-and-set. Who finds another row than the one it saw is stale, and stands down. */
function stored(world: World, rows: Rows, index: 0 | 1, next: number): World {
  const orchestrator = world.orchestrators[index];
  const [before, after] = [rows.row(world.row), rows.row(next)];
  // The hold and the map are in the transaction of the switch: a hold that is over stops it.
  const isHoldMissing = before.owner !== after.owner && world.isHoldEnded;
  if (world.row !== orchestrator.seen && rows.rules.comparesAndSets)
    return changed(world, index, { ...orchestrator, seen: -1, next: -1 });
  if (isHoldMissing || rows.isTooLate(world.row, next, world.now))
    return changed(world, index, { ...orchestrator, next: -1 });
  const isNewHold = before.migration.ticket !== after.migration.ticket;
  return changed(
    { ...world, row: next, isHoldEnded: isNewHold ? false : world.isHoldEnded },
    index,
    { ...orchestrator, seen: next, next: -1 },
  );
}

/** By the second while the first lives, and by either, newly started too, when the holder of the epoch is gone. */
function claim(world: World, rows: Rows, index: 0 | 1, form: Form, take: Take): void {
  const { epoch } = rows.row(world.row).migration;
  const holder = world.orchestrators[epoch % 2 === 1 ? 0 : 1];
  const isHolder = world.orchestrators[index] === holder;
  const mayClaim = isHolder ? holder.seen === -1 : index === 1 || !holder.isUp;
  if (!mayClaim) return;
  // Odd epochs are the first's, even ones the second's.
  const own = epoch + ((epoch % 2 === 1) === (index === 0) ? 2 : 1);
  if (own > epochsMax(form)) return;
  const next = rows.after(world.row, world.now, `claim ${own}`, () => ({
    kind: "claimed",
    epoch: own,
  }));
  if (next === undefined) return;
  const claimed = changed({ ...world, row: next }, index, { isUp: true, seen: next, next: -1 });
  take(`orchestrator ${index} takes over`, claimed);
}

function command(world: World, decide: Decide): void {
  const blockers: readonly string[] = [];
  if (world.cutoversLeft > 0)
    decide(
      "is told to cut over",
      "cutover",
      () => ({ kind: "cutover", blockers, fencesReads: false }),
      {
        cutoversLeft: world.cutoversLeft - 1,
      },
    );
  if (world.rollbacksLeft > 0)
    decide("is told to roll back", "rollback", () => ({ kind: "rollback", blockers }), {
      rollbacksLeft: world.rollbacksLeft - 1,
    });
}

function perform(
  world: World,
  rows: Rows,
  index: 0 | 1,
  effect: Effect,
  decide: Decide,
  take: Take,
): void {
  switch (effect.do) {
    case "stream":
      return stream(world, indexOf(givingSide(effect.direction)), take);
    case "fence":
    case "unfence":
      return send(world, effect, indexOf(effect.side), decide, take);
    case "watchProxies":
      return watchProxies(world, rows, effect.ticket, decide);
    case "watchMarkers": {
      const giver = indexOf(givingSide(effect.direction));
      const ticket = markerApplied(world, otherServer(giver));
      return decide(`sees marker ${ticket}`, `marker ${ticket}`, () => ({
        kind: "markersSeen",
        markers: [{ giver: serverName(giver), taker: serverName(otherServer(giver)), ticket }],
      }));
    }
    case "check":
      return check(world, effect.ticket, indexOf(givingSide(effect.direction)), decide);
    case "dropStreams":
      return;
    default:
      invariant(false, `the explorer meets no effect "${effect.do}" of orchestrator ${index}`);
  }
}

/** One change, with its position, in one transaction of the taking server. */
function stream(world: World, giver: Server, take: Take): void {
  const taker = otherServer(giver);
  const [from, to] = [world.servers[giver], world.servers[taker]];
  const entry = from.log[to.applied];
  if (entry === undefined) return;
  const bits = entry > 0 ? to.bits | entry : to.bits;
  const servers = withItem(world.servers, taker, { ...to, bits, applied: to.applied + 1 });
  take(`the stream applies to the ${serverName(taker)}`, { ...world, servers });
}

type Sent = Extract<Effect, { readonly do: "fence" | "unfence" }>;

/** Sending is not landing: the orchestrator may die in between, and the transaction come all the same. */
function send(world: World, effect: Sent, index: Server, decide: Decide, take: Take): void {
  const server = world.servers[index];
  const bit = 1 << effect.ticket;
  const isFence = effect.do === "fence";
  const isThere = server.ticket >= effect.ticket && server.isFenced === isFence;
  if (isThere) {
    const { ticket } = effect;
    return decide(`sees the ${serverName(index)} ${effect.do}d`, `${effect.do}d ${ticket}`, () =>
      isFence
        ? { kind: "fenced", ticket, givers: [identity(index)] }
        : { kind: "unfenced", ticket },
    );
  }
  const sent = isFence ? server.fencesSent : server.unfencesSent;
  if ((sent & bit) !== 0) return;
  const next = isFence
    ? { ...server, fencesSent: sent | bit }
    : { ...server, unfencesSent: sent | bit };
  take(`${effect.do} ${effect.ticket} is sent to the ${serverName(index)}`, {
    ...world,
    servers: withItem(world.servers, index, next),
  });
}

function identity(server: Server): { database: string; systemId: string; timeline: number } {
  return { database: serverName(server), systemId: "1", timeline: 1 };
}

function watchProxies(world: World, rows: Rows, ticket: number, decide: Decide): void {
  const { revision } = rows.row(world.row);
  const proxies = world.proxies.map((proxy, index) => ({
    name: `proxy ${index}`,
    hasFollowed: proxy.told === revision,
    openTransactions: proxy.toldOpen,
    isHolding: proxy.toldHold === ticket && proxy.toldOpen === 0,
    isLeaseDead: !proxy.hasLease,
  }));
  const key = proxies.map((seen) =>
    [+seen.hasFollowed, seen.openTransactions, +seen.isHolding, +seen.isLeaseDead].join(),
  );
  decide("looks at the proxies", `proxies ${ticket} ${key.join()}`, () => ({
    kind: "proxiesSeen",
    ticket,
    proxies,
  }));
}

/** It finds no difference, so that the protocol alone has to be right. */
function check(world: World, ticket: number, giver: Server, decide: Decide): void {
  const { isFenced } = world.servers[giver];
  decide("checks the servers", `checked ${ticket} ${isFenced}`, () => ({
    kind: "checked",
    ticket,
    differences: [],
    fencedGivers: isFenced ? [identity(giver)] : [],
  }));
}

/** F waits for every writer's lock, and has no effect under an older ticket than the last seen. */
function landings(world: World, rows: Rows, index: Server, take: Take): void {
  const { fenceWaits } = rows.rules;
  const server = world.servers[index];
  const { fencesSent, unfencesSent } = server;
  for (let ticket = 1; 1 << ticket <= Math.max(fencesSent, unfencesSent); ticket += 1) {
    const bit = 1 << ticket;
    if ((fencesSent & bit) !== 0 && !(fenceWaits && isLocked(world, index))) {
      const rest = { ...server, fencesSent: fencesSent & ~bit };
      const landed =
        ticket < server.ticket || (ticket === server.ticket && !server.isFenced)
          ? rest
          : { ...rest, isFenced: true, ticket, log: [...server.log, -ticket] };
      take(`fence ${ticket} comes to the ${serverName(index)}`, {
        ...world,
        servers: withItem(world.servers, index, landed),
      });
    }
    if ((unfencesSent & bit) !== 0) {
      const rest = { ...server, unfencesSent: unfencesSent & ~bit };
      const landed = ticket <= server.ticket ? rest : { ...rest, isFenced: false, ticket };
      take(`unfence ${ticket} comes to the ${serverName(index)}`, {
        ...world,
        servers: withItem(world.servers, index, landed),
      });
    }
  }
}
