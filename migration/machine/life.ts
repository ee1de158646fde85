/**
 * What one migration remembers: the row of the control schema from which any orchestrator goes
 * on. Data only; which event leads from one state to another is said by machine.ts.
 *
 *   planned ▶ preflight ▶ setup ▶ copying ▶ catchingUp ▶ indexing ▶ armingReverse
 *     ▶ catchingUpAgain ▶ verifying ▶ ready
 *                                       │ cutover ▲
 *                                       ▼         │
 *                           ┌──▶ pausing ▶ fenced ▶ drained     before the switch: retreating
 *                           │                          ▼        after it: forward only
 *                           │                       switched
 *                 rollback  │                          ▼
 *      (direction "back")   └────────────────────── reversible ▶ completing ▶ completed
 *
 *   a rollback's switched ▶ rolledBack
 *   beside them: stopped (with its reason), setup again and resync, aborting ▶ cancelled
 *
 * A state is stored before its work begins, and its work may run twice. Up to `switched` the
 * sources own the rows, whatever else fails; from it on the targets do, until a rollback's.
 */
import { unreachable } from "../../base/invariant.ts";

export interface Migration {
  /** Unique in the control schema; also what fences, slots and publications are named by. */
  readonly name: string;
  /** Of the orchestrator that may act. Grows with each claim; never goes back. */
  readonly epoch: number;
  /**
   * Numbers each cutover and each retreat, and only grows: on a server, what bears a lower
   * ticket than the last one seen has no effect. So a fence of an attempt that was given up
   * cannot arrive late, and no retreat can take away a later attempt's fence.
   */
  readonly ticket: number;
  readonly parties: Parties;
  readonly policy: Policy;
  readonly life: Life;
}

/** Names of the databases of a shard map. One may be on both sides, and then keeps tickets for each. */
export interface Parties {
  readonly sources: readonly string[];
  readonly targets: readonly string[];
}

export interface Policy {
  /** From the first held statement until service is restored, here or there. */
  readonly pauseMs: number;
  /** The end of the pause that is kept for the flip, or for taking the fence away. */
  readonly reserveMs: number;
  readonly throttle: Throttle;
  /** The side that is fenced refuses reads, too, of everybody who does not own the tables. */
  readonly fencesReads: boolean;
}

/** When copying waits. Changes are applied all the same: what is not applied piles up in the sources' logs. */
export interface Throttle {
  /** Of each move; null: as many as there can be. */
  readonly rowsPerSecond: number | null;
  /** Of a standby of either side. */
  readonly replicaLagMs: number;
  /** Clients' sessions that are at work in a server of either side. */
  readonly activeSessions: number;
}

/** `back` is a rollback: the same steps with the roles swapped. */
export type Direction = "forward" | "back";

export type Side = "sources" | "targets";

/** In order, which is the argument for correctness: MIGRATIONS 4.3. */
export const SETUP_STEPS = [
  "guardDdl",
  "publish",
  "makeSlot",
  "makeTargets",
  "probeReverse",
  "leaseProxies",
] as const;

export type SetupStep = (typeof SETUP_STEPS)[number];

/** Work that ends by itself. */
export type Moving =
  | "copying"
  /** Copies only the ranges that differ, after a lost slot or a rollback. */
  | "resync"
  | "catchingUp"
  | "indexing"
  | "armingReverse"
  | "catchingUpAgain"
  | "verifying";

export type Life =
  | { readonly state: "planned" }
  | { readonly state: "preflight" }
  | { readonly state: "setup"; readonly step: SetupStep; readonly leadsTo: "copying" | "resync" }
  /** `isPaused` by the operator: the stream goes on, or its slot would grow for ever. */
  | { readonly state: Moving; readonly isPaused: boolean }
  | { readonly state: "ready" }
  | Cutover
  | Retreat
  /** The row that says so is the switch. `isFollowed`: no proxy can serve the rows by the older map any more. */
  | { readonly state: "switched"; readonly direction: Direction; readonly isFollowed: boolean }
  /** `lost`: the way back is closed, and somebody has to know. */
  | { readonly state: "reversible"; readonly reverse: "live" | "lost" }
  | { readonly state: "completing" }
  | { readonly state: "completed" }
  | { readonly state: "rolledBack" }
  | Stopped
  | { readonly state: "aborting" }
  | { readonly state: "cancelled" };

export type Cutover =
  /** `holding`: proxies are told to hold statements; `fencing`: none passes any more. */
  | (Attempt & { readonly state: "pausing"; readonly phase: "holding" | "fencing" })
  /** The marker of this ticket is in each giving server's log, and nothing is written after it. */
  | (Attempt & { readonly state: "fenced"; readonly givers: readonly ServerIdentity[] })
  /** Every taking server has applied every marker. */
  | (Attempt & { readonly state: "drained"; readonly givers: readonly ServerIdentity[] });

interface Attempt {
  readonly direction: Direction;
  /** Milliseconds, by the control database's clock. Only when to give up depends on it. */
  readonly deadlineMs: number;
}

/** Takes the fence away, then lets statements pass; the ticket is a new one. */
export interface Retreat {
  readonly state: "retreating";
  readonly direction: Direction;
  readonly leadsTo: AfterRetreat;
  /** False once the server to unfence has been away for too long: errors are better than waiting. */
  readonly isHeld: boolean;
  readonly deadlineMs: number;
}

export type AfterRetreat =
  | { readonly kind: "tryAgain" }
  | { readonly kind: "abort" }
  | { readonly kind: "stop"; readonly because: StopReason; readonly detail: string };

/** Goes on, by `resume`, from the state that it stopped in. */
export interface Stopped {
  readonly state: "stopped";
  readonly at: Resumable;
  readonly because: StopReason;
  /** Names the object, key and position. */
  readonly detail: string;
}

export type Resumable =
  | Extract<Life, { readonly state: "setup" | "ready" | "preflight" | "completing" | "aborting" }>
  | { readonly state: Moving; readonly isPaused: boolean }
  | { readonly state: "reversible"; readonly reverse: "live" | "lost" };

/** Each has its page in the runbook. */
export const STOP_REASONS = [
  "preflight_failed",
  "proxy_silent",
  "rows_differ",
  "apply_not_exact",
  "keys_collide",
  "reference_missing",
  "schema_changed",
  "foreign_write",
  "source_replaced",
  "target_lost",
  "server_refused",
] as const;

export type StopReason = (typeof STOP_REASONS)[number];

/** What tells one server, and one line of its history, from another. */
export interface ServerIdentity {
  readonly database: string;
  readonly systemId: string;
  readonly timeline: number;
}

export type State = Life["state"];

export type In<S extends State> = Extract<Life, { readonly state: S }>;

/** Who owns the rows: what the shard map in force says of them. */
export function ownerOf({ life }: Pick<Migration, "life">): Side {
  switch (life.state) {
    case "switched":
      return life.direction === "forward" ? "targets" : "sources";
    case "pausing":
    case "fenced":
    case "drained":
    case "retreating":
      return givingSide(life.direction);
    case "reversible":
    case "completing":
    case "completed":
      return "targets";
    case "stopped":
      return life.at.state === "reversible" || life.at.state === "completing"
        ? "targets"
        : "sources";
    case "planned":
    case "preflight":
    case "setup":
    case "copying":
    case "resync":
    case "catchingUp":
    case "indexing":
    case "armingReverse":
    case "catchingUpAgain":
    case "verifying":
    case "ready":
    case "rolledBack":
    case "aborting":
    case "cancelled":
      return "sources";
    default:
      return unreachable(life);
  }
}

/** Whether proxies hold statements for the moved rows, told by the row itself. */
export function isTrafficHeld({ life }: Pick<Migration, "life">): boolean {
  switch (life.state) {
    case "pausing":
    case "fenced":
    case "drained":
    case "switched":
      return true;
    case "retreating":
      return life.isHeld;
    default:
      return false;
  }
}

/** From here until its end no other migration may touch the same tables and placements (R36). */
export function claimsItsObjects({ life }: Pick<Migration, "life">): boolean {
  return !["planned", "completed", "cancelled"].includes(life.state);
}

/**
 * Until when, by the control database's clock, an attempt may still go from one row to the
 * other; undefined where it may take its time. Compared when the row is stored, so that what
 * was decided in time and stored late does not prolong the pause.
 */
export function storableUntilMs(before: Migration, after: Migration): number | undefined {
  const { life } = before;
  const isAttempt = life.state === "pausing" || life.state === "fenced" || life.state === "drained";
  if (!isAttempt || before.epoch !== after.epoch || after.life.state === "retreating")
    return undefined;
  return life.deadlineMs;
}

export function givingSide(direction: Direction): Side {
  return direction === "forward" ? "sources" : "targets";
}

export function takingSide(direction: Direction): Side {
  return direction === "forward" ? "targets" : "sources";
}
