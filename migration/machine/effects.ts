/**
 * What is to be done in each state. It depends on the stored row alone: an orchestrator that
 * takes over does the same as the one before it, and what is no longer listed is stopped.
 * Every effect may run twice, and may run while a stale orchestrator still runs it.
 */
import { unreachable } from "../../base/invariant.ts";
import { givingSide, takingSide } from "./life.ts";
import type { Direction, Migration, SetupStep, Side } from "./life.ts";

export type Effect =
  | { readonly do: "inspect" }
  | { readonly do: "setUp"; readonly step: SetupStep }
  /** `discarding`: nothing of this direction is due yet; what the other one tagged is passed over. */
  | { readonly do: "stream"; readonly direction: Direction; readonly discarding: boolean }
  | { readonly do: "copy"; readonly comparing: boolean }
  | { readonly do: "reportWhenCaughtUp" }
  | { readonly do: "buildIndexes" }
  | { readonly do: "armReverse" }
  | { readonly do: "verify" }
  /** Some rows of both sides, again and again. */
  | { readonly do: "watchRows"; readonly direction: Direction }
  | { readonly do: "watchProxies"; readonly ticket: number }
  /** One transaction a server: fence triggers and marker, refused where a higher ticket was seen. */
  | { readonly do: "fence"; readonly side: Side; readonly ticket: number }
  | { readonly do: "watchMarkers"; readonly direction: Direction; readonly ticket: number }
  /** Sequences set on the taking side, recheck list, row counts; then the giving servers, freshly connected. */
  | { readonly do: "check"; readonly direction: Direction; readonly ticket: number }
  /** Raises the ticket that the server has seen, whether or not there is a fence. */
  | { readonly do: "unfence"; readonly side: Side; readonly ticket: number }
  /** The last comparison; then all but the rows of the new owner is taken away. */
  | { readonly do: "finish" }
  /** `forward`: what was drained before the switch, whose slot would keep the sources' log for nobody. */
  | { readonly do: "dropStreams"; readonly which: "forward" | "all" }
  | { readonly do: "cleanUp" };

const FORWARD: Effect = { do: "stream", direction: "forward", discarding: false };
const BACK: Effect = { do: "stream", direction: "back", discarding: false };
const WATCH_BACK: Effect = { do: "watchRows", direction: "back" };
const BACK_ARMED: Effect = { do: "stream", direction: "back", discarding: true };

export function effectsOf({ life, ticket }: Migration): readonly Effect[] {
  switch (life.state) {
    case "preflight":
      return [{ do: "inspect" }];
    case "setup":
      return [{ do: "setUp", step: life.step }];
    case "copying":
    case "resync":
    case "catchingUp":
    case "indexing":
    case "armingReverse":
    case "catchingUpAgain":
    case "verifying":
      return effectsOfMoving(life);
    case "ready":
      return [FORWARD, BACK_ARMED, { do: "watchRows", direction: "forward" }];
    case "pausing": {
      const next: Effect =
        life.phase === "holding"
          ? { do: "watchProxies", ticket }
          : { do: "fence", side: givingSide(life.direction), ticket };
      return [...streamsOf(life.direction), next];
    }
    case "fenced":
      return [
        ...streamsOf(life.direction),
        { do: "watchMarkers", direction: life.direction, ticket },
      ];
    case "drained":
      return [...streamsOf(life.direction), { do: "check", direction: life.direction, ticket }];
    case "retreating":
      return [
        ...streamsOf(life.direction),
        { do: "unfence", side: givingSide(life.direction), ticket },
      ];
    case "switched":
      // What was drained sends nothing more: the stream of its direction is off from here on.
      return [
        ...(life.direction === "forward" ? [BACK] : []),
        life.isFollowed
          ? { do: "unfence", side: takingSide(life.direction), ticket }
          : { do: "watchProxies", ticket },
      ];
    case "reversible":
      return [
        ...(life.reverse === "live" ? [BACK, WATCH_BACK] : []),
        { do: "dropStreams", which: "forward" },
      ];
    case "completing":
      return [{ do: "finish" }];
    case "rolledBack":
      return [{ do: "dropStreams", which: "all" }];
    case "aborting":
      return [{ do: "cleanUp" }];
    case "stopped":
      // Nothing is applied past what was not understood; the slots keep what follows.
      return [];
    case "planned":
    case "completed":
    case "cancelled":
      return [];
    default:
      return unreachable(life);
  }
}

function streamsOf(direction: Direction): readonly Effect[] {
  return direction === "forward" ? [FORWARD, BACK_ARMED] : [BACK];
}

type MovingLife = Extract<Migration["life"], { readonly isPaused: boolean }>;

function effectsOfMoving({ state, isPaused }: MovingLife): readonly Effect[] {
  const streams =
    state === "catchingUpAgain" || state === "verifying" ? [FORWARD, BACK_ARMED] : [FORWARD];
  return isPaused ? streams : [...streams, WORK[state]];
}

const WORK: Readonly<Record<MovingLife["state"], Effect>> = {
  copying: { do: "copy", comparing: false },
  resync: { do: "copy", comparing: true },
  catchingUp: { do: "reportWhenCaughtUp" },
  indexing: { do: "buildIndexes" },
  armingReverse: { do: "armReverse" },
  catchingUpAgain: { do: "reportWhenCaughtUp" },
  verifying: { do: "verify" },
};
