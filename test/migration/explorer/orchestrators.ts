/** What orchestrators do, and what becomes on a server of what they have sent. */
import { invariant } from "../../../base/invariant.ts";
import type { Effect } from "../../../migration/machine/effects.ts";
import type { Event } from "../../../migration/machine/events.ts";
import { givingSide, takingSide } from "../../../migration/machine/life.ts";
import type { Direction } from "../../../migration/machine/life.ts";
import type { Rows } from "./rows.ts";
import type { Take } from "./search.ts";
import { bitsAt, serverName } from "./servers.ts";
import type { Pair, Server } from "./servers.ts";
import { isLocked, markerApplied, placeIn, withItem, withServer } from "./world.ts";
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
  for (const server of rows.layout.all) landings(world, rows, server, take);
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
      for (const pair of pairsOf(rows, effect.direction)) stream(world, rows, pair, take);
      return;
    case "fence":
    case "unfence":
      return send(world, rows, effect, decide, take);
    case "watchProxies":
      return watchProxies(world, rows, effect.ticket, decide);
    case "watchMarkers": {
      const pairs = pairsOf(rows, effect.direction);
      const tickets = pairs.map(([giver, taker]) => markerApplied(world, giver, taker));
      return decide(`sees marker ${tickets.join()}`, `marker ${tickets.join()}`, () => ({
        kind: "markersSeen",
        markers: pairs.map(([giver, taker], at) => ({
          giver: serverName(giver),
          taker: serverName(taker),
          ticket: tickets[at] ?? 0,
        })),
      }));
    }
    case "check":
      return check(world, rows, effect, decide);
    // It changes nothing, and what it would see is what the explorer looks for itself.
    case "watchRows":
    case "dropStreams":
      return;
    default:
      invariant(false, `the explorer meets no effect "${effect.do}" of orchestrator ${index}`);
  }
}

/** Each giving server with each taking one. */
function pairsOf({ layout }: Rows, direction: Direction): readonly Pair<Server>[] {
  const takers = layout.servers[takingSide(direction)];
  return layout.servers[givingSide(direction)].flatMap((giver) =>
    takers.map((taker): Pair<Server> => [giver, taker]),
  );
}

/** One change, with its position, in one transaction of the taking server. Rows of other servers are passed over. */
function stream(world: World, { layout }: Rows, [giver, taker]: Pair<Server>, take: Take): void {
  const [from, to] = [world.servers[giver], world.servers[taker]];
  const own = bitsAt(layout, taker);
  let at = to.applied[placeIn(giver)];
  while ((from.log[at] ?? -1) > 0 && ((from.log[at] ?? 0) & own) === 0) at += 1;
  const entry = from.log[at];
  if (entry === undefined) return;
  const bits = entry > 0 ? to.bits | entry : to.bits;
  const applied = withItem(to.applied, placeIn(giver), at + 1);
  take(
    `the stream of the ${serverName(giver)} applies to the ${serverName(taker)}`,
    withServer(world, taker, { ...to, bits, applied }),
  );
}

type Sent = Extract<Effect, { readonly do: "fence" | "unfence" }>;

/** Sending is not landing: the orchestrator may die in between, and the transaction come all the same. */
function send(world: World, rows: Rows, effect: Sent, decide: Decide, take: Take): void {
  const { ticket } = effect;
  const isFence = effect.do === "fence";
  const servers = rows.layout.servers[effect.side];
  const there = servers.filter((server) => {
    const state = world.servers[server];
    return state.ticket >= ticket && state.isFenced === isFence;
  });
  if (isFence && there.length > 0)
    decide(
      `sees the ${there.map(serverName).join()} fenced`,
      `fenced ${ticket} ${there.join()}`,
      () => ({
        kind: "fenced",
        ticket,
        givers: there.map(identity),
      }),
    );
  if (!isFence && there.length >= (rows.rules.unfencesAll ? servers.length : 1))
    decide(`sees the ${effect.side} unfenced`, `unfenced ${ticket}`, () => ({
      kind: "unfenced",
      ticket,
    }));
  const bit = 1 << ticket;
  for (const server of servers) {
    const state = world.servers[server];
    const sent = isFence ? state.fencesSent : state.unfencesSent;
    if (there.includes(server) || (sent & bit) !== 0) continue;
    take(
      `${effect.do} ${ticket} is sent to the ${serverName(server)}`,
      withServer(world, server, {
        ...state,
        ...(isFence ? { fencesSent: sent | bit } : { unfencesSent: sent | bit }),
      }),
    );
  }
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

type Check = Extract<Effect, { readonly do: "check" }>;

/** It finds no difference, so that the protocol alone has to be right. */
function check(world: World, rows: Rows, { ticket, direction }: Check, decide: Decide): void {
  const fenced = rows.layout.servers[givingSide(direction)].filter(
    (server) => world.servers[server].isFenced,
  );
  decide("checks the servers", `checked ${ticket} ${fenced.join()}`, () => ({
    kind: "checked",
    ticket,
    differences: [],
    fencedGivers: fenced.map(identity),
  }));
}

/** F waits for every writer's lock, and has no effect under an older ticket than the last seen. */
function landings(world: World, rows: Rows, index: Server, take: Take): void {
  const { fenceWaits } = rows.rules;
  const server = world.servers[index];
  const { fencesSent, unfencesSent } = server;
  for (let ticket = 1; 1 << ticket <= Math.max(fencesSent, unfencesSent); ticket += 1) {
    const bit = 1 << ticket;
    if ((fencesSent & bit) !== 0 && !(fenceWaits && isLocked(world, index, rows.layout))) {
      const rest = { ...server, fencesSent: fencesSent & ~bit };
      const landed =
        ticket < server.ticket || (ticket === server.ticket && !server.isFenced)
          ? rest
          : { ...rest, isFenced: true, ticket, log: [...server.log, -ticket] };
      take(`fence ${ticket} comes to the ${serverName(index)}`, withServer(world, index, landed));
    }
    if ((unfencesSent & bit) !== 0) {
      const rest = { ...server, unfencesSent: unfencesSent & ~bit };
      const landed = ticket <= server.ticket ? rest : { ...rest, isFenced: false, ticket };
      take(`unfence ${ticket} comes to the ${serverName(index)}`, withServer(world, index, landed));
    }
  }
}
