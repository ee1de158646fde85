/**
 * What befalls a fleet, when, and for how long: all of it made of the seed before anything starts, so
 * that a seed is a play that can be given again. Processes under it are as fast as they are.
 */
import { below, pick } from "../shardmap/random-keys.ts";
import type { Random } from "../shardmap/random-keys.ts";
import { CUTS } from "./line.ts";
import type { Cut } from "./line.ts";
import { SCHEMA_CHANGES } from "./schema-changes.ts";
import type { PlannedChange } from "./schema-changes.ts";

export interface Cast {
  readonly proxies: number;
  readonly servers: number;
  /** Between all proxies and the databases. Each proxy has one of its own to the control schema. */
  readonly dataLines: number;
  readonly placements: number;
}

export type Trouble =
  /** Started again with a file to start with, which is of the first version, or with the control schema alone. */
  | { readonly kind: "kill proxy"; readonly target: number; readonly hasFile: boolean }
  | { readonly kind: "stop proxy"; readonly target: number }
  | { readonly kind: "kill server"; readonly target: number }
  | {
      readonly kind: "cut" | "cut control";
      readonly target: number;
      readonly cut: Cut;
      /** Some connections alone, picked by chance. */
      readonly isPartial: boolean;
    };

export type Event =
  | {
      readonly kind: "trouble";
      readonly afterMs: number;
      readonly trouble: Trouble;
      readonly forMs: number;
    }
  | { readonly kind: "publish"; readonly afterMs: number; readonly routes: readonly number[] }
  | { readonly kind: "roll back"; readonly afterMs: number; readonly back: number }
  /** Of a placement, as in a cutover: new statements wait. */
  | {
      readonly kind: "hold";
      readonly afterMs: number;
      readonly target: number;
      readonly forMs: number;
    }
  | { readonly kind: "change schema"; readonly afterMs: number; readonly planned: PlannedChange }
  /** Everything is mended first; then each promise is looked at, and one more change made. */
  | { readonly kind: "calm"; readonly afterMs: number; readonly planned: PlannedChange };

/** Between two events. */
const PAUSE_MS_MAX = 1_200;
/** Shorter than the 40 s in which a client expects an answer, with all that may follow on it. */
const TROUBLE_MS_MAX = 4_500;
/** As cutovers are meant to be. */
const HOLD_MS_MAX = 600;
const EVENTS_BETWEEN_CALMS = [5, 12] as const;
/** A proxy follows two lines for each server. */
export const ROUTES_PER_SERVER = 2;

/** Endless: whoever plays it stops when the time is up. */
export function* eventsOf(random: Random, cast: Cast): Iterable<Event> {
  const [least, most] = EVENTS_BETWEEN_CALMS;
  for (;;) {
    const count = least + below(random, most - least + 1);
    for (let index = 0; index < count; index += 1) yield eventOf(random, cast);
    yield { kind: "calm", afterMs: below(random, PAUSE_MS_MAX), planned: change(random, cast) };
  }
}

function eventOf(random: Random, cast: Cast): Event {
  const afterMs = below(random, PAUSE_MS_MAX);
  const choice = below(random, 14);
  if (choice < 2) {
    const routes = Array.from({ length: cast.servers }, () => below(random, ROUTES_PER_SERVER));
    return { kind: "publish", afterMs, routes };
  }
  if (choice === 2) return { kind: "roll back", afterMs, back: 1 + below(random, 3) };
  if (choice === 3) {
    const target = below(random, cast.placements);
    return { kind: "hold", afterMs, target, forMs: 100 + below(random, HOLD_MS_MAX - 100) };
  }
  if (choice < 7) {
    return { kind: "change schema", afterMs, planned: change(random, cast) };
  }
  const forMs = 200 + below(random, TROUBLE_MS_MAX - 200);
  return { kind: "trouble", afterMs, trouble: troubleOf(random, cast), forMs };
}

function change(random: Random, { proxies }: Cast): PlannedChange {
  return {
    change: pick(random, SCHEMA_CHANGES),
    through: below(random, proxies),
    lookThrough: below(random, proxies),
  };
}

function troubleOf(random: Random, { proxies, servers, dataLines }: Cast): Trouble {
  const kind = pick(random, TROUBLES);
  switch (kind) {
    case "kill proxy":
      return { kind, target: below(random, proxies), hasFile: below(random, 2) === 0 };
    case "stop proxy":
      return { kind, target: below(random, proxies) };
    case "kill server":
      return { kind, target: below(random, servers) };
    case "cut":
    case "cut control":
      return {
        kind,
        target: below(random, kind === "cut" ? dataLines : proxies),
        cut: pick(random, CUTS),
        isPartial: below(random, 3) === 0,
      };
  }
}

/** Networks break more often than machines. */
const TROUBLES = [
  "kill proxy",
  "stop proxy",
  "kill server",
  "cut",
  "cut",
  "cut control",
] as const satisfies readonly Trouble["kind"][];
