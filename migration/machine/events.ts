/**
 * What can happen to a migration: an operator's command, another orchestrator's claim, or an
 * observation of a server. An observation names the state or the ticket that it was made for,
 * so that one that comes late moves nothing. Whether it suffices is decided by the machine,
 * not by who observed.
 */
import type { Moving, ServerIdentity, SetupStep, StopReason, Throttle } from "./life.ts";

export type Event = Command | Claim | Observation;

/** `blockers`: sentences, each a condition of MIGRATIONS 4.7 step 0 that does not hold now. */
export type Command =
  | { readonly kind: "start" }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  | { readonly kind: "resync" }
  | { readonly kind: "throttle"; readonly throttle: Throttle }
  /** `fencesReads`: see Policy; a rollback after it does the same. */
  | {
      readonly kind: "cutover";
      readonly blockers: readonly string[];
      readonly fencesReads: boolean;
    }
  | { readonly kind: "rollback"; readonly blockers: readonly string[] }
  | { readonly kind: "complete"; readonly blockers: readonly string[] }
  | { readonly kind: "cancel" };

/** A new orchestrator takes over; it is given the work of the state that it finds. */
export interface Claim {
  readonly kind: "claimed";
  /** Larger than the row's. */
  readonly epoch: number;
}

export type Observation =
  /** `errors`: of findings that forbid the migration. */
  | { readonly kind: "inspected"; readonly errors: readonly string[] }
  | { readonly kind: "setUp"; readonly step: SetupStep }
  | { readonly kind: "done"; readonly work: Moving }
  /** Anything unexpected: nothing is skipped. */
  | { readonly kind: "failed"; readonly because: StopReason; readonly detail: string }
  /** The slot of the stream away from the rows' owner is gone: WAL is missing between the sides. */
  | { readonly kind: "slotLost"; readonly detail: string }
  | { readonly kind: "tick" }
  | {
      readonly kind: "proxiesSeen";
      readonly ticket: number;
      readonly proxies: readonly ProxySeen[];
    }
  | { readonly kind: "fenced"; readonly ticket: number; readonly givers: readonly ServerIdentity[] }
  | { readonly kind: "markersSeen"; readonly markers: readonly MarkerSeen[] }
  | {
      readonly kind: "checked";
      readonly ticket: number;
      /** Sentences: rows or counts that differ, sequences that could not be set. */
      readonly differences: readonly string[];
      /** Read over fresh connections, last of all; only of those that still carry the fence. */
      readonly fencedGivers: readonly ServerIdentity[];
    }
  | { readonly kind: "unfenced"; readonly ticket: number }
  | { readonly kind: "finished" }
  | { readonly kind: "cleanedUp" };

export interface ProxySeen {
  readonly name: string;
  /** It has told that it follows the row as the present state was stored. */
  readonly hasFollowed: boolean;
  /** Of its transactions, those that began before it followed and may have touched moved rows. */
  readonly openTransactions: number;
  /**
   * It has told that it holds back what the present ticket's attempt holds, with nothing open any more. So it
   * goes on only by an answer that names the map of the switch, however long it is silent before.
   */
  readonly isHolding: boolean;
  /** So long silent that it refuses moved rows by itself, drift of its clock included. */
  readonly isLeaseDead: boolean;
}

/** The highest ticket whose marker of `giver` a taking server has durably applied. */
export interface MarkerSeen {
  readonly giver: string;
  readonly taker: string;
  readonly ticket: number;
}
