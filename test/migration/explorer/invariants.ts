/** What must hold in every world, and of every step from one to the next. Each is a sentence. */
import type { Rows } from "./rows.ts";
import { otherSide, rowOf, serverName } from "./servers.ts";
import type { Statement, World } from "./world.ts";

/** The first that does not hold. */
export function brokenRule(before: World, world: World, rows: Rows): string | undefined {
  return (
    lostWrite(world, rows) ??
    secondOwner(before, world, rows) ??
    staleRead(before, world) ??
    wrongSwitch(before, world, rows) ??
    longPause(before, world, rows) ??
    fencedOwner(world, rows)
  );
}

/** What is committed on the side that does not own the rows is on the side that does. */
function lostWrite(world: World, rows: Rows): string | undefined {
  const { owner, migration } = rows.row(world.row);
  const { places, bits } = rows.layout;
  for (const row of [0, 1] as const) {
    const [own, other] = [places[owner][row], places[otherSide(owner)][row]];
    if ((world.servers[other].bits & ~world.servers[own].bits & bits[row]) !== 0)
      return `a committed write is missing on the ${serverName(own)}, which owns its row (${migration.life.state})`;
  }
  return undefined;
}

/** A write takes effect on the owner alone. */
function secondOwner(before: World, world: World, rows: Rows): string | undefined {
  const { owner } = rows.row(before.row);
  for (const index of [0, 1] as const) {
    const { write } = before.clients[index];
    if (write.phase !== "locked" || world.clients[index].write.phase !== "done") continue;
    if (write.server !== rows.layout.places[owner][rowOf(rows.layout, index + 1)])
      return `two owners: a write took effect on the ${serverName(write.server)} while the ${owner} own the rows`;
  }
  if (before.bypass === "locked" && world.bypass === "done" && owner !== "sources")
    return "two owners: a direct write took effect on a source while the targets own the rows";
  return undefined;
}

/** A read sees every write that was acknowledged before it was sent. */
function staleRead(before: World, world: World): string | undefined {
  for (const index of [0, 1] as const) {
    const { read } = before.clients[index];
    if (!isAnswered(read, world.clients[index].read.phase)) continue;
    if ((read.floor & ~before.servers[read.server].bits) !== 0)
      return `a stale read from the ${serverName(read.server)}`;
  }
  return undefined;
}

function isAnswered(
  before: Statement,
  after: Statement["phase"],
): before is Extract<Statement, { readonly server: unknown }> {
  return (
    (before.phase === "sent" && after === "idle") ||
    (before.phase === "rereading" && after === "done")
  );
}

/** The owner changes by one store, out of `drained`, to the other side; so never by giving up after it. */
function wrongSwitch(before: World, world: World, rows: Rows): string | undefined {
  const [old, now] = [rows.row(before.row), rows.row(world.row)];
  if (old.owner === now.owner) return undefined;
  const [from, to] = [old.migration, now.migration];
  const isRight =
    from.life.state === "drained" && to.life.state === "switched" && from.ticket === to.ticket;
  return isRight ? undefined : `the owner changed from ${from.life.state} to ${to.life.state}`;
}

/** Past its deadline, an attempt goes nowhere but back. */
function longPause(before: World, world: World, rows: Rows): string | undefined {
  if (before.row === world.row || !rows.isOverdue(before.row, before.now)) return undefined;
  const [from, to] = [rows.row(before.row).migration, rows.row(world.row).migration];
  const isAttempt = ["pausing", "fenced", "drained"].includes(from.life.state);
  if (!isAttempt || from.epoch !== to.epoch || to.life.state === "retreating") return undefined;
  return `an overdue attempt went from ${from.life.state} to ${to.life.state}`;
}

/** Where nothing is under way, every server of the owning side takes writes. */
function fencedOwner(world: World, rows: Rows): string | undefined {
  const { owner, migration } = rows.row(world.row);
  const { state } = migration.life;
  const isQuiet = state === "ready" || state === "reversible" || state === "rolledBack";
  const fenced = rows.layout.servers[owner].find((server) => world.servers[server].isFenced);
  return isQuiet && fenced !== undefined
    ? `the ${serverName(fenced)} owns rows, is fenced, and nobody will take the fence away (${state})`
    : undefined;
}
