/**
 * Who waits for whom, over all databases at once, and where that is a circle which no single
 * server sees. Functions from data to data: asking the servers is deadlock-detector.ts'.
 *
 *     database a    process 11 ◄── 12          11 and 21 work for one transaction, 12 and 22
 *     database b    process 21 ──► 22          for another: each waits for the other
 *
 * A node is a transaction with all its server processes, of this proxy or one that another proxy
 * has told of, or a process that nobody knows (of another client, or of a transaction in one
 * database). A transaction is *entered* at the
 * process that others wait for, and *left* at the one that waits. Where all members of a
 * circle are left at the process at which they are entered, one server sees all of it and
 * breaks it by itself (DeadLockCheck in PostgreSQL's deadlock.c); the others are ours.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { DEADLOCK_DETAIL_LINES_MAX } from "../../base/limits.ts";

export interface ServerProcess {
  /** Process ids are unique in a server, which may hold several of the databases. */
  readonly server: string;
  readonly database: DatabaseName;
  readonly processId: number;
}

/** A process that waits for a lock, as one server tells it. */
export interface LockWait {
  readonly waiter: ServerProcess;
  /** When its statement began, in microseconds of the server's clock: tells the statement from its next one. */
  readonly statementStart: string;
  /** All that must give way first: holders of the lock, and who stands before it in the queue. */
  readonly blockers: readonly ServerProcess[];
}

/** A transaction of a proxy that has several server processes. */
export interface Party {
  /** Whose it is: numbers are a proxy's own. */
  readonly proxy: string;
  /** Never the same twice; the larger one is the younger. */
  readonly number: number;
  readonly processes: readonly ServerProcess[];
}

interface Member<P extends Party> {
  readonly key: string;
  readonly party: P | undefined;
}

export interface Wait<P extends Party> {
  readonly from: Member<P>;
  readonly to: Member<P>;
  readonly waiter: ServerProcess;
  readonly blocker: ServerProcess;
  readonly statementStart: string;
}

export interface Deadlock<P extends Party> {
  /** Each ends at the transaction at which the next begins, and the last at the first's. */
  readonly waits: readonly Wait<P>[];
  /** The youngest of its parties: it has the least to do again. */
  readonly victim: P;
}

/** One wait for each waiter and blocker, with the processes of a party joined into one member. */
export function joinWaits<P extends Party>(
  lockWaits: readonly LockWait[],
  parties: readonly P[],
): readonly Wait<P>[] {
  const members = new Map<string, Member<P>>();
  for (const party of parties) {
    const member = { key: `transaction ${party.number} of ${party.proxy}`, party };
    for (const process of party.processes) members.set(processKey(process), member);
  }
  const memberOf = (process: ServerProcess): Member<P> => {
    const key = processKey(process);
    return members.get(key) ?? { key: `process ${key}`, party: undefined };
  };
  return lockWaits.flatMap(({ waiter, blockers, statementStart }) => {
    const from = memberOf(waiter);
    return blockers.map((blocker) => ({
      from,
      to: memberOf(blocker),
      waiter,
      blocker,
      statementStart,
    }));
  });
}

/** Of `later`, what `earlier` shows as well: the same statement of the same transaction, for the same other. */
export function inBoth<P extends Party>(
  earlier: readonly Wait<P>[],
  later: readonly Wait<P>[],
): readonly Wait<P>[] {
  const known = new Set(earlier.map(waitKey));
  return later.filter((wait) => known.has(waitKey(wait)));
}

/** At most `countMax` deadlocks that no server sees, such that breaking each at its victim leaves no other of them. */
export function findDeadlocks<P extends Party>(
  waits: readonly Wait<P>[],
  countMax: number,
): readonly Deadlock<P>[] {
  const found: Deadlock<P>[] = [];
  let left = waits;
  while (found.length < countMax) {
    left = stuck(left);
    const deadlock = findDeadlock(left);
    if (deadlock === undefined) break;
    found.push(deadlock);
    left = left.filter(({ from }) => from.party !== deadlock.victim);
  }
  return found;
}

/** PostgreSQL's wording (DeadLockReport), with the databases; bounded, since a circle may be long. */
export function describeDeadlock<P extends Party>(waits: readonly Wait<P>[]): string {
  const lines = waits.flatMap(({ waiter, blocker }, index) => {
    const next = waits[(index + 1) % waits.length]?.waiter ?? waiter;
    const wait = `Process ${waiter.processId} waits for a lock in database "${waiter.database}"; blocked by process ${blocker.processId}.`;
    if (processKey(blocker) === processKey(next)) return [wait];
    return [wait, `${capitalized(named(blocker))} and ${named(next)} work for one transaction.`];
  });
  const more = lines.length - DEADLOCK_DETAIL_LINES_MAX;
  if (more <= 0) return lines.join("\n");
  return [...lines.slice(0, DEADLOCK_DETAIL_LINES_MAX), `(And ${more} more.)`].join("\n");
}

function named({ database, processId }: ServerProcess): string {
  return `process ${processId} of database "${database}"`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function processKey({ server, processId }: ServerProcess): string {
  return `${processId}@${server}`;
}

function waitKey<P extends Party>({ from, to, waiter, blocker, statementStart }: Wait<P>): string {
  return [from.key, processKey(waiter), statementStart, to.key, processKey(blocker)].join(" ");
}

/** The waits that are part of a circle, or lie between two: all others will end by themselves, or end nothing. */
function stuck<P extends Party>(waits: readonly Wait<P>[]): readonly Wait<P>[] {
  const behind = withoutFree(waits, "from", "to");
  return withoutFree(behind, "to", "from");
}

/** Drops every wait whose `to` has itself no wait, again and again, in time linear in their number. */
function withoutFree<P extends Party>(
  waits: readonly Wait<P>[],
  from: "from" | "to",
  to: "from" | "to",
): readonly Wait<P>[] {
  const into = Map.groupBy(waits, (wait) => wait[to].key);
  const counts = new Map<string, number>();
  for (const wait of waits) counts.set(wait[from].key, (counts.get(wait[from].key) ?? 0) + 1);
  const free = new Set([...into.keys()].filter((key) => !counts.has(key)));
  // A set is iterated in the order of insertion, over what is added meanwhile, too.
  for (const key of free) {
    for (const wait of into.get(key) ?? []) {
      const count = (counts.get(wait[from].key) ?? 0) - 1;
      counts.set(wait[from].key, count);
      if (count === 0) free.add(wait[from].key);
    }
  }
  return waits.filter((wait) => !free.has(wait[to].key));
}

/** Any circle with a transaction that is left at another process than it is entered at. */
function findDeadlock<P extends Party>(waits: readonly Wait<P>[]): Deadlock<P> | undefined {
  const bySource = Map.groupBy(waits, ({ from }) => from.key);
  for (const [key, leaving] of bySource) {
    if (leaving[0]?.from.party === undefined) continue;
    const byWaiter = Map.groupBy(leaving, ({ waiter }) => processKey(waiter));
    for (const [waiterKey, first] of byWaiter) {
      const path = shortestPath(bySource, first, (wait) =>
        wait.to.key !== key ? "pass" : processKey(wait.blocker) === waiterKey ? "avoid" : "reached",
      );
      if (path !== undefined) return { waits: path, victim: youngest(path, leaving[0].from.party) };
    }
  }
  return undefined;
}

/** Breadth first, from any of `first` to a wait that `judge` calls reached. */
function shortestPath<P extends Party>(
  bySource: ReadonlyMap<string, readonly Wait<P>[]>,
  first: readonly Wait<P>[],
  judge: (wait: Wait<P>) => "pass" | "avoid" | "reached",
): readonly Wait<P>[] | undefined {
  const before = new Map<Wait<P>, Wait<P> | undefined>(first.map((wait) => [wait, undefined]));
  const visited = new Set<string>();
  // A map, too, is iterated over what is added meanwhile.
  for (const wait of before.keys()) {
    const verdict = judge(wait);
    if (verdict === "reached") return pathTo(wait, before);
    if (verdict === "avoid" || visited.has(wait.to.key)) continue;
    visited.add(wait.to.key);
    for (const next of bySource.get(wait.to.key) ?? []) before.set(next, wait);
  }
  return undefined;
}

function pathTo<P extends Party>(
  last: Wait<P>,
  before: ReadonlyMap<Wait<P>, Wait<P> | undefined>,
): readonly Wait<P>[] {
  const path: Wait<P>[] = [];
  for (let wait: Wait<P> | undefined = last; wait !== undefined; wait = before.get(wait))
    path.push(wait);
  return path.toReversed();
}

function youngest<P extends Party>(waits: readonly Wait<P>[], one: P): P {
  let found = one;
  for (const { from } of waits)
    if (from.party !== undefined && isYounger(from.party, found)) found = from.party;
  return found;
}

/** Every proxy that looks at a circle names the same one. */
function isYounger(left: Party, right: Party): boolean {
  return left.number > right.number || (left.number === right.number && left.proxy > right.proxy);
}
