/**
 * Holds: for a while, no proxy of the fleet starts anything on some placements. Who asks for one
 * learns of each proxy that it obeys, with what is still open there, or that its lease has run
 * out, so that it refuses the placements by itself. Nothing else may be concluded from silence.
 *
 *     lease ──▶ announced ──▶ started ──▶ over
 *     every     leases are    statements  ended by who asked or, after
 *     proxy     short         wait        its deadline, by anybody
 *     agrees
 *
 * The row decides: a change that must happen under a hold (the next map) keeps the hold in the
 * same transaction, and so either precedes its end or does not happen.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  FLEET_ACK_POLL_MS,
  FLEET_LEASE_SHORT_MS,
  HOLD_ANNOUNCE_TIMEOUT_MS,
  HOLD_KEPT_DAYS,
  HOLD_MS_MAX,
  LEASED_ACK_TIMEOUT_MS,
} from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { SqlError } from "../base/sql-error.ts";
import type { ControlDatabase } from "./control-database.ts";
import { ANNOUNCE_RAISED, announceRevision, raiseRevision } from "./control-schema.ts";
import { follows, isSilent, listProxies, whereGoneForGood } from "./fleet-state.ts";
import type { ProxyRow } from "./fleet-state.ts";
import { LeaseWatch } from "./lease-watch.ts";

/** What is known of one proxy. */
export interface HoldAck {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  /** `refuses`: its lease has run out, so it serves none of the placements until it has heard of all this. */
  readonly state: "obeys" | "refuses" | "unknown";
  /** Transactions that use the placements since before the hold, as it last told; of one that obeys. */
  readonly open: number;
  /** Statements that it holds back. */
  readonly waiting: number;
  /** Why it cannot follow, as it tells. */
  readonly problem: string | undefined;
}

export interface HoldRequest {
  /** Of whatever it is for: two of one name follow each other, as attempts. */
  readonly name: string;
  /** `database.schema`, leased already: those that rows leave, and those that they come to. */
  readonly placements: readonly string[];
  readonly requestedBy: string;
}

export interface Waiting {
  /** Aborted, nothing is leased or held any more. */
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/**
 * From now on proxies serve these placements only while their lease lasts. Resolves once every
 * proxy that has a row has agreed; a silent one is not taken for dead, since it may serve
 * without knowing of any of this. Throws `hold_not_possible`, and leases nothing then.
 */
export async function leasePlacements(
  database: ControlDatabase,
  owner: string,
  placements: readonly string[],
  { timeoutMs = LEASED_ACK_TIMEOUT_MS, signal }: Waiting = {},
): Promise<void> {
  refuseMalformed(placements);
  const rows = placements.map((each) => `(${quoteLiteral(each)}, ${quoteLiteral(owner)})`);
  const revision = await changed(
    database,
    `INSERT INTO colonnade.leased (placement, owner) VALUES ${rows.join(", ")} ON CONFLICT DO NOTHING`,
  );
  try {
    await untilAgreed(database, revision, timeoutMs, signal);
  } catch (error) {
    await endLeased(database, owner);
    throw error;
  }
}

/** What `owner` has leased is served by proxies without a lease, too. */
export async function endLeased(database: ControlDatabase, owner: string): Promise<void> {
  await changed(database, `DELETE FROM colonnade.leased WHERE owner = ${quoteLiteral(owner)}`);
}

/** What owners of names that begin so have leased, and not given back for long: they have died. */
export async function endAbandonedLeases(
  database: ControlDatabase,
  ownerPrefix: string,
  olderThanMs: number,
): Promise<void> {
  await changed(
    database,
    `DELETE FROM colonnade.leased WHERE starts_with(owner, ${quoteLiteral(ownerPrefix)}) AND since < clock_timestamp() - ${milliseconds(olderThanMs)}`,
  );
}

async function untilAgreed(
  database: ControlDatabase,
  revision: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const late = (await listProxies(database)).filter((proxy) => !follows(proxy, revision));
    if (late.length === 0) return;
    if (performance.now() >= end)
      throw notPossible(late, "has not agreed to serve the placements only while its lease lasts");
    await sleep(FLEET_ACK_POLL_MS, undefined, { signal });
  }
}

/**
 * Announces a hold of placements that are leased. Resolves once each proxy's lease is short or has run out, so that no proxy is
 * waited for longer than that when the hold starts. Throws `hold_not_possible`, and is over then.
 */
export async function announceHold(
  database: ControlDatabase,
  request: HoldRequest,
  { timeoutMs = HOLD_ANNOUNCE_TIMEOUT_MS, signal }: Waiting = {},
): Promise<FleetHold> {
  refuseMalformed(request.placements);
  const { attempt, revision } = await insertHold(database, request);
  const hold = new FleetHold(database, request, attempt, revision);
  try {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const pending = await hold.withLongLease();
      if (pending.length === 0) return hold;
      if (performance.now() >= end) throw notPossible(pending, "has not made its lease short");
      await sleep(FLEET_ACK_POLL_MS, undefined, { signal });
    }
  } catch (error) {
    await hold.resume();
    throw error;
  }
}

async function insertHold(
  database: ControlDatabase,
  { name, placements, requestedBy }: HoldRequest,
): Promise<{ readonly attempt: number; readonly revision: number }> {
  const texts = `ARRAY[${placements.map(quoteLiteral).join(", ")}]::text[]`;
  return await database.transaction(async () => {
    const [raised] = await database.query(raiseRevision());
    await database.query(END_EXPIRED);
    const [taken] = await database.query(
      `SELECT name FROM colonnade.hold WHERE ended_at IS NULL AND (name = ${quoteLiteral(name)} OR placements && ${texts})`,
    );
    if (taken !== undefined) throw new SqlError("hold_taken", `hold "${taken[0]}" is not over yet`);
    await database.query(
      `DELETE FROM colonnade.hold WHERE ended_at < clock_timestamp() - ${HOLD_KEPT_DAYS} * interval '1 day'`,
    );
    await refuseUnleased(database, texts);
    const [row] = await database.query(
      `INSERT INTO colonnade.hold (name, attempt, placements, requested_by, deadline)
SELECT ${quoteLiteral(name)}, coalesce(max(attempt), 0) + 1, ${texts}, ${quoteLiteral(requestedBy)}, clock_timestamp() + ${milliseconds(2 * HOLD_ANNOUNCE_TIMEOUT_MS)}
FROM colonnade.hold WHERE name = ${quoteLiteral(name)} RETURNING attempt`,
    );
    await database.query(announceRevision(raised?.[0] ?? ""));
    return { attempt: Number(row?.[0]), revision: Number(raised?.[0]) };
  });
}

/** A proxy whose lease has run out refuses what is leased: without that, its silence would mean nothing. */
async function refuseUnleased(database: ControlDatabase, placements: string): Promise<void> {
  const [missing] = await database.query(
    `SELECT each FROM unnest(${placements}) AS each WHERE NOT EXISTS (SELECT FROM colonnade.leased WHERE placement = each)`,
  );
  if (missing === undefined) return;
  throw new SqlError(
    "hold_malformed",
    `placement "${missing[0]}" is not leased, so that it cannot be held`,
  );
}

/**
 * The one of this name that is not over, for whoever goes on with it; undefined where there is
 * none. `watch`: what has been seen of leases already, so that a proxy that died long ago is not
 * waited for again.
 */
export async function findHold(
  database: ControlDatabase,
  name: string,
  watch = new LeaseWatch(),
): Promise<{ readonly hold: FleetHold; readonly isStarted: boolean } | undefined> {
  const [row] = await database.query(
    `SELECT attempt, to_json(placements), requested_by, (SELECT revision FROM colonnade.control), started_at IS NOT NULL FROM colonnade.hold WHERE name = ${quoteLiteral(name)} AND ended_at IS NULL AND deadline > clock_timestamp()`,
  );
  if (row === undefined) return undefined;
  const [attempt, placements, requestedBy, revision, isStarted] = row;
  const request = {
    name,
    placements: JSON.parse(placements ?? "[]") as readonly string[],
    requestedBy: requestedBy ?? "",
  };
  const hold = new FleetHold(database, request, Number(attempt), Number(revision), watch);
  return { hold, isStarted: isStarted === "t" };
}

/** A hold that was announced. Whoever asked for it ends it, whatever happens; else its deadline does. */
export class FleetHold {
  readonly #database: ControlDatabase;
  readonly #request: HoldRequest;
  readonly attempt: number;
  #revision: number;
  readonly #watch: LeaseWatch;

  /** `announceHold` is how others come by one. */
  constructor(
    database: ControlDatabase,
    request: HoldRequest,
    attempt: number,
    revision: number,
    watch = new LeaseWatch(),
  ) {
    this.#watch = watch;
    this.#database = database;
    this.#request = request;
    this.attempt = attempt;
    this.#revision = revision;
  }

  get name(): string {
    return this.#request.name;
  }

  get #where(): string {
    return `name = ${quoteLiteral(this.name)} AND attempt = ${this.attempt} AND ended_at IS NULL`;
  }

  /** Proxies that may go on for long without the control schema. */
  async withLongLease(): Promise<readonly ProxyRow[]> {
    const { proxies, nowMs } = await this.#look();
    return proxies.filter(
      (proxy) =>
        !(follows(proxy, this.#revision) && proxy.leaseMs <= FLEET_LEASE_SHORT_MS) &&
        !this.#watch.hasRunOut(proxy, nowMs),
    );
  }

  /** Proxies begin to hold back. After `forMs` anybody may end it. Throws `hold_over`. */
  async start(forMs: number): Promise<void> {
    if (!(forMs > 0 && forMs <= HOLD_MS_MAX))
      throw new SqlError("hold_malformed", `a hold lasts for up to ${HOLD_MS_MAX} ms`);
    this.#revision = await changedOr(
      this.#database,
      `UPDATE colonnade.hold SET started_at = clock_timestamp(), deadline = clock_timestamp() + ${milliseconds(forMs)} WHERE ${this.#where} RETURNING 1`,
      () => this.#over(),
    );
  }

  /** What each proxy tells now. */
  async acks(): Promise<readonly HoldAck[]> {
    const { proxies, nowMs } = await this.#look();
    return proxies.map((proxy) => {
      const { id, name, address, problem } = proxy;
      const told = proxy.holds.find(
        (each) => each.name === this.name && each.attempt === this.attempt,
      );
      const obeys = follows(proxy, this.#revision) && told !== undefined;
      const hasRunOut = this.#watch.hasRunOut(proxy, nowMs);
      const state = hasRunOut ? "refuses" : obeys ? "obeys" : "unknown";
      const { open = 0, waiting = 0 } = state === "obeys" ? (told ?? {}) : {};
      return { id, name, address, state, open, waiting, problem };
    });
  }

  /**
   * Until every proxy obeys, with nothing open any more, or refuses the placements by itself; or
   * until `withinMs` are over. What is true then is in what it gives.
   */
  async untilQuiet(withinMs: number): Promise<readonly HoldAck[]> {
    const end = performance.now() + withinMs;
    for (;;) {
      const acks = await this.acks();
      if (isQuiet(acks) || performance.now() >= end) return acks;
      await sleep(FLEET_ACK_POLL_MS);
    }
  }

  /**
   * In a transaction of the caller's, after `raiseRevision`: it commits only while the hold lasts,
   * which then does for `forMs` more. Throws `hold_over`.
   */
  async keep(forMs: number): Promise<void> {
    const [kept] = await this.#database.query(
      `UPDATE colonnade.hold SET deadline = clock_timestamp() + ${milliseconds(forMs)} WHERE ${this.#where} AND started_at IS NOT NULL AND deadline > clock_timestamp() RETURNING 1`,
    );
    if (kept === undefined) throw this.#over();
  }

  /** Everything goes on. Nothing happens where it is over already. */
  async resume(): Promise<void> {
    await changed(
      this.#database,
      `UPDATE colonnade.hold SET ended_at = clock_timestamp(), ended_by = ${quoteLiteral(this.#request.requestedBy)} WHERE ${this.#where}`,
    );
  }

  async #look(): Promise<{ readonly proxies: readonly ProxyRow[]; readonly nowMs: number }> {
    const proxies = await listProxies(this.#database);
    const nowMs = performance.now();
    this.#watch.observe(proxies, nowMs);
    return { proxies, nowMs };
  }

  #over(): SqlError {
    return new SqlError("hold_over", `hold "${this.name}", attempt ${this.attempt}, is over`);
  }
}

/** Nothing uses the placements, and nothing begins to. */
export function isQuiet(acks: readonly HoldAck[]): boolean {
  return acks.every(({ state, open }) => state === "refuses" || (state === "obeys" && open === 0));
}

/** Ends holds that nobody has ended in time. One whose hold was kept meanwhile is not among them. */
export async function endExpiredHolds(database: ControlDatabase): Promise<void> {
  await database.query(END_EXPIRED);
}

const END_EXPIRED =
  "UPDATE colonnade.hold SET ended_at = clock_timestamp(), ended_by = 'deadline' WHERE ended_at IS NULL AND deadline <= clock_timestamp()";

/** A change that proxies follow; gives its revision. */
async function changed(database: ControlDatabase, sql: string): Promise<number> {
  const [raised] = await database.query(announcing(sql));
  return Number(raised?.[0]);
}

/** The same of `sql` that returns a row where it changes something; else nothing is changed. */
async function changedOr(
  database: ControlDatabase,
  sql: string,
  otherwise: () => SqlError,
): Promise<number> {
  return await database.transaction(async () => {
    const [raised, made, announced] = await database.query(announcing(sql));
    if (made === undefined || announced === undefined) throw otherwise();
    return Number(raised?.[0]);
  });
}

/** In one message, since clients wait meanwhile. Its first row is the revision, its last the announcement's. */
function announcing(sql: string): string {
  return `${raiseRevision()}; ${sql}; ${ANNOUNCE_RAISED}`;
}

function refuseMalformed(placements: readonly string[]): void {
  if (placements.length === 0) throw new SqlError("hold_malformed", "no placement is named");
}

function notPossible(late: readonly ProxyRow[], what: string): SqlError {
  const [first] = late;
  const others = late.length > 1 ? ` (and ${late.length - 1} more)` : "";
  const silent = late.filter(isSilent);
  return new SqlError(
    "hold_not_possible",
    `proxy ${first?.name} (${first?.address})${others} ${what}`,
    {
      detail: late
        .map(
          ({ id, name, address, silentMs, problem }) =>
            `${name} (${address}), id ${id}, has been silent for ${(silentMs / 1000).toFixed(1)} s${problem === undefined ? "" : `: ${problem}`}.`,
        )
        .join("\n"),
      ...(silent.length > 0 && {
        hint: `Start the proxy, or stop it. ${whereGoneForGood(silent)}`,
      }),
    },
  );
}

function milliseconds(ms: number): string {
  return `${Math.ceil(ms)} * interval '1 millisecond'`;
}
