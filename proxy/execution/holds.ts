/**
 * Placements of which the proxy starts nothing new for a while, and placements that it serves
 * only while its lease lasts. What is to be held back waits here, before it has a backend.
 *
 * It is told what to do by whoever follows the control schema (proxy/fleet), and does not know
 * why. Where nothing is leased or held, a statement pays for one comparison.
 */
import {
  FLEET_LEASE_DRIFT,
  HELD_BYTES_MAX,
  HELD_MS_MAX,
  HELD_STATEMENTS_MAX,
  HOLD_OPEN_POLL_MS,
  HOLD_RESUME_SPREAD_MS_MAX,
  HOLD_RESUME_SPREAD_MS_PER_STATEMENT,
} from "../../base/limits.ts";
import type { Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import { HeldStatements } from "./held-statements.ts";
import type { HeldLimits, HeldStatement } from "./held-statements.ts";
import { PlacementUse } from "./placement-use.ts";

/** As it was asked for. */
export interface Hold {
  readonly name: string;
  readonly attempt: number;
  readonly placements: readonly string[];
}

/** What a proxy of a fleet is to do. */
export interface FleetDemands {
  readonly holds: readonly Hold[];
  readonly leased: readonly string[];
}

export interface GrantedLease {
  /** When it was asked for, by `now`. */
  readonly sentMs: number;
  readonly leaseMs: number;
}

export interface HoldReport extends Hold {
  /** Transactions, and statements without one, that began before it and still use its placements. */
  readonly open: number;
  readonly waiting: number;
  /** How long it has been obeyed. */
  readonly ageMs: number;
}

export interface HoldsOptions {
  /** Milliseconds of a clock that never goes back, and goes on while the process is stopped. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** By what names statements may use a placement. */
  readonly namesOf: (placement: string) => readonly string[];
  readonly metrics: Metrics;
  readonly onLeaseLost: (placements: readonly string[]) => void;
  /** Until the first demands everything waits: nobody knows yet what they are. */
  readonly waitsForDemands: boolean;
  readonly limits?: HeldLimits;
}

interface ActiveHold {
  readonly hold: Hold;
  readonly sinceMs: number;
  names: ReadonlySet<string>;
  open: number;
}

const DEFAULT_LIMITS: HeldLimits = {
  statementsMax: HELD_STATEMENTS_MAX,
  bytesMax: HELD_BYTES_MAX,
  waitMs: HELD_MS_MAX,
};

export class Holds {
  readonly #options: HoldsOptions;
  readonly #held: HeldStatements;
  readonly #uses = new Set<PlacementUse>();
  readonly #holds = new Map<string, ActiveHold>();
  #waitsForDemands: boolean;
  /** By each name that a statement may use it by. */
  #leased: ReadonlyMap<string, string> = new Map();
  #leaseUntilMs = Number.NEGATIVE_INFINITY;
  #isLost = false;
  /** Counts the times that the lease ran out; and the last such time of each name. */
  #generation = 0;
  readonly #lostAt = new Map<string, number>();
  #leaseTimer: NodeJS.Timeout | undefined;
  #openTimer: NodeJS.Timeout | undefined;
  #isQuiet = true;
  /** The last of what was open when a hold began has ended. */
  onDrained: () => void = () => undefined;

  constructor(options: HoldsOptions) {
    this.#options = options;
    const { metrics, now, limits = DEFAULT_LIMITS } = options;
    this.#held = new HeldStatements({ metrics, now, limits });
    this.#waitsForDemands = options.waitsForDemands;
    this.#isQuiet = !this.#waitsForDemands;
  }

  get isQuiet(): boolean {
    return this.#isQuiet;
  }

  get nowMs(): number {
    return this.#options.now();
  }

  get generation(): number {
    return this.#generation;
  }

  /** For one session. */
  newUse(): PlacementUse {
    const use = new PlacementUse(this);
    this.#uses.add(use);
    return use;
  }

  forget(use: PlacementUse): void {
    this.#uses.delete(use);
  }

  /** Undefined where the statement need not wait. */
  blocking(places: readonly string[], use: PlacementUse): string | undefined {
    if (this.#waitsForDemands) return START;
    for (const [key, { names }] of this.#holds)
      if (places.some((place) => names.has(place)) && !use.touches(names)) return key;
    return undefined;
  }

  /**
   * Resolves when what stands in the statement's way may be over: it is to be bound and to enter
   * again. Rejects with `statement_held_too_long`, `placement_lease_lost`, or the signal's reason.
   */
  async wait(statement: HeldStatement, use: PlacementUse, signal: AbortSignal): Promise<void> {
    const key = this.blocking(statement.places, use);
    if (key !== undefined) await this.#held.wait(key, statement, signal);
  }

  /** Throws where the lease on one of the placements has run out, or did since the transaction began. */
  refuseWithoutLease(places: readonly string[], use: PlacementUse): void {
    if (this.#leased.size > 0) this.#noteLoss();
    for (const place of places) {
      const placement = this.#leased.get(place);
      if (placement !== undefined && this.#isLost) throw leaseLost(placement);
      const began = use.generationOf(place) ?? this.#generation;
      if ((this.#lostAt.get(place) ?? 0) > began) throw leaseLost(placement ?? place);
    }
  }

  /** Right before bytes are sent. */
  maySend(places: readonly string[], use: PlacementUse): void {
    if (this.#leased.size === 0 && this.#generation === 0) return;
    this.refuseWithoutLease(places, use);
  }

  /** As its row will say from now on: a lease that was longer ends earlier. */
  shortenLease(leaseMs: number): void {
    const untilMs = this.#options.now() + leaseMs * (1 - FLEET_LEASE_DRIFT);
    if (untilMs >= this.#leaseUntilMs) return;
    this.#noteLoss();
    this.#leaseUntilMs = untilMs;
    this.#armLease();
  }

  /**
   * What is asked for now, and in force when it returns; everything that it presumes, such as a
   * shard map, is in force already. What is no longer asked for ends.
   */
  follow({ holds, leased }: FleetDemands, { sentMs, leaseMs }: GrantedLease): void {
    const { now, namesOf, metrics } = this.#options;
    // Of the placements leased so far, and before a new lease could hide it.
    this.#noteLoss();
    this.#leased = new Map(
      leased.flatMap((placement) => namesOf(placement).map((name) => [name, placement] as const)),
    );
    metrics.set("colonnade_leased_placements", {}, new Set(leased).size);
    this.#leaseUntilMs = Math.max(this.#leaseUntilMs, sentMs + leaseMs * (1 - FLEET_LEASE_DRIFT));
    this.#isLost = now() > this.#leaseUntilMs;
    this.#armLease();
    const ended = this.#replaceHolds(holds);
    if (this.#waitsForDemands) ended.add(START);
    this.#waitsForDemands = false;
    this.#isQuiet = this.#holds.size === 0 && this.#leased.size === 0 && this.#generation === 0;
    this.#resume(ended);
    this.#watchOpen();
  }

  /** The keys of those that are over. */
  #replaceHolds(holds: readonly Hold[]): Set<string> {
    const { now, namesOf } = this.#options;
    const ended = new Set(this.#holds.keys());
    for (const hold of holds) {
      const key = keyOf(hold);
      ended.delete(key);
      const names = new Set(hold.placements.flatMap(namesOf));
      const present = this.#holds.get(key);
      if (present !== undefined) present.names = names;
      else this.#holds.set(key, { hold, names, sinceMs: now(), open: this.#openOn(names) });
    }
    for (const key of ended) this.#holds.delete(key);
    return ended;
  }

  #resume(ended: ReadonlySet<string>): void {
    const waiting = [...ended].reduce((sum, key) => sum + this.#held.countOf(key), 0);
    const spreadMs = Math.min(
      HOLD_RESUME_SPREAD_MS_MAX,
      waiting * HOLD_RESUME_SPREAD_MS_PER_STATEMENT,
    );
    for (const key of ended) this.#held.release(key, () => this.#options.random() * spreadMs);
  }

  get reports(): readonly HoldReport[] {
    return [...this.#holds].map(([key, { hold, names, sinceMs }]) => ({
      ...hold,
      open: this.#openOn(names),
      waiting: this.#held.countOf(key),
      ageMs: this.#options.now() - sinceMs,
    }));
  }

  /** Placements that are served only while the lease lasts. */
  get leased(): readonly string[] {
    return [...new Set(this.#leased.values())];
  }

  /** How much longer the lease lasts; negative where it has run out. */
  get leaseMs(): number {
    return this.#leaseUntilMs - this.#options.now();
  }

  /** The proxy stops: those who wait are told so. */
  close(): void {
    clearTimeout(this.#leaseTimer);
    clearInterval(this.#openTimer);
    this.#held.close();
  }

  #openOn(names: ReadonlySet<string>): number {
    let open = 0;
    for (const use of this.#uses) if (use.touches(names) && use.isActive()) open += 1;
    return open;
  }

  /** Looks until nothing is open on any of them: nothing new begins. */
  #watchOpen(): void {
    clearInterval(this.#openTimer);
    if ([...this.#holds.values()].every(({ open }) => open === 0)) return;
    this.#openTimer = setInterval(() => {
      let isDrained = false;
      for (const active of this.#holds.values()) {
        const before = active.open;
        active.open = this.#openOn(active.names);
        isDrained ||= before > 0 && active.open === 0;
      }
      if (isDrained) this.onDrained();
      if ([...this.#holds.values()].every(({ open }) => open === 0)) clearInterval(this.#openTimer);
    }, HOLD_OPEN_POLL_MS);
    this.#openTimer.unref();
  }

  /** Nobody asks for anything then: whoever waits is told when the lease has run out. */
  #armLease(): void {
    clearTimeout(this.#leaseTimer);
    if (this.#leased.size === 0 || this.#isLost) return;
    this.#leaseTimer = setTimeout(
      () => {
        this.#noteLoss();
        // Timers count from the turn that they were set in: a long one has them come early.
        this.#armLease();
      },
      Math.max(0, this.leaseMs) + 1,
    );
    this.#leaseTimer.unref();
  }

  #noteLoss(): void {
    if (this.#leased.size === 0 || this.#isLost) return;
    if (this.#options.now() <= this.#leaseUntilMs) return;
    this.#isLost = true;
    this.#generation += 1;
    for (const name of this.#leased.keys()) this.#lostAt.set(name, this.#generation);
    this.#options.metrics.increment("colonnade_leases_lost_total", {});
    this.#options.onLeaseLost(this.leased);
    this.#held.refuse(({ places }) => {
      const place = places.find((each) => this.#leased.has(each));
      return place === undefined ? undefined : leaseLost(this.#leased.get(place) ?? place);
    });
  }
}

/** What stands in the way until the first demands have come. */
const START = "";

function keyOf({ name, attempt }: Hold): string {
  return `${name}/${attempt}`;
}

function leaseLost(placement: string): SqlError {
  return new SqlError(
    "placement_lease_lost",
    `placement "${placement}" is being moved, and this proxy's lease on it has run out`,
    {
      detail:
        "The proxy has not reached the control schema in time, so it cannot know where the rows are now.",
    },
  );
}
