/**
 * Ways to get the protocol wrong, each of them one that somebody has paid for. The explorer has
 * to find every one, or it proves nothing of the machine as it is.
 */
import type { Step } from "../../../migration/machine.ts";
import { step as productStep } from "../../../migration/machine.ts";
import type { Event } from "../../../migration/machine/events.ts";
import type { Life, Migration } from "../../../migration/machine/life.ts";
import { isTrafficHeld } from "../../../migration/machine/life.ts";
import { PRODUCT } from "./rows.ts";
import type { Rules } from "./rows.ts";
import type { Form } from "./world.ts";

export interface Mutation {
  readonly name: string;
  readonly rules: Rules;
  /** The smallest in which it shows. */
  readonly form: Form;
  /** Of the rule that it breaks. */
  readonly breaks: RegExp;
}

const PLAIN: Form = {
  sources: 1,
  targets: 1,
  faults: 0,
  cutovers: 1,
  rollbacks: 0,
  timeSteps: 0,
  storesLate: false,
  orchestrators: 1,
  writers: 2,
  readers: 0,
  bypasses: true,
};

/** Two rows, of two sources, each with a writer. */
const MERGE: Form = { ...PLAIN, sources: 2, bypasses: false };
const SPLIT: Form = { ...MERGE, sources: 1, targets: 2 };

/** One client writes, the other reads. */
const READING: Form = { ...PLAIN, writers: 1, readers: 1, bypasses: false };

type Rule = Rules["step"];

/** Whenever a step leads where `event` answers, what it says is taken to have been seen. */
function forging(event: (migration: Migration) => Event | undefined): Rule {
  return (migration, seen, nowMs) => {
    const result = productStep(migration, seen, nowMs);
    const forged = result.kind === "moved" ? event(result.migration) : undefined;
    if (result.kind !== "moved" || forged === undefined) return result;
    const next = productStep(result.migration, forged, nowMs);
    return next.kind === "moved" ? next : result;
  };
}

function changing(change: (before: Migration, result: Step) => Step): Rule {
  return (migration, event, nowMs) => change(migration, productStep(migration, event, nowMs));
}

function hears(change: (event: Event) => Event): Rule {
  return (migration, event, nowMs) => productStep(migration, change(event), nowMs);
}

export const MUTATIONS: readonly Mutation[] = [
  {
    name: "the fence lets writers pass",
    rules: { ...PRODUCT, fenceRefuses: false },
    form: PLAIN,
    breaks: /two owners|missing/,
  },
  {
    name: "the fence does not wait for writers",
    rules: { ...PRODUCT, fenceWaits: false },
    form: PLAIN,
    breaks: /two owners|missing/,
  },
  {
    name: "switched before the streams are drained",
    rules: {
      ...PRODUCT,
      step: forging(({ life, ticket }) =>
        life.state === "fenced"
          ? { kind: "markersSeen", markers: [{ giver: "source", taker: "target", ticket }] }
          : undefined,
      ),
    },
    form: PLAIN,
    breaks: /missing/,
  },
  {
    name: "the leases of silent proxies are not waited for",
    rules: {
      ...PRODUCT,
      step: forging(({ life, ticket }) =>
        life.state === "pausing" && life.phase === "holding"
          ? { kind: "proxiesSeen", ticket, proxies: [] }
          : undefined,
      ),
    },
    form: READING,
    breaks: /stale read/,
  },
  {
    name: "transactions that are still open are not waited for",
    rules: {
      ...PRODUCT,
      step: hears((event) =>
        event.kind === "proxiesSeen"
          ? { ...event, proxies: event.proxies.map((seen) => ({ ...seen, openTransactions: 0 })) }
          : event,
      ),
    },
    form: READING,
    breaks: /stale read/,
  },
  {
    name: "statements pass again before the switch",
    rules: {
      ...PRODUCT,
      isTrafficHeld: (migration) => migration.life.state !== "drained" && isTrafficHeld(migration),
    },
    form: READING,
    breaks: /stale read/,
  },
  {
    name: "given up after the switch",
    rules: {
      ...PRODUCT,
      step: changing((before, result) =>
        before.life.state === "switched" ? onward(result, { state: "ready" }) : result,
      ),
    },
    form: PLAIN,
    breaks: /owner changed|missing/,
  },
  {
    name: "an overdue attempt goes on",
    rules: {
      ...PRODUCT,
      storesInTime: false,
      step: (migration, event) => productStep(migration, event, 0),
    },
    form: { ...PLAIN, timeSteps: 1, writers: 0, bypasses: false },
    breaks: /overdue/,
  },
  {
    name: "what was decided in time is stored late",
    rules: { ...PRODUCT, storesInTime: false },
    form: { ...PLAIN, timeSteps: 1, storesLate: true, writers: 0, bypasses: false },
    breaks: /overdue/,
  },
  {
    name: "stale orchestrators store what they decided",
    rules: { ...PRODUCT, comparesAndSets: false },
    form: { ...PLAIN, timeSteps: 1, writers: 0, bypasses: false, orchestrators: 2 },
    breaks: /owner changed|missing|two owners|overdue|fenced/,
  },
  {
    name: "a retreat bears the ticket of its attempt",
    rules: {
      ...PRODUCT,
      step: changing((before, result) =>
        result.kind === "moved" && result.migration.life.state === "retreating"
          ? { ...result, migration: { ...result.migration, ticket: before.ticket } }
          : result,
      ),
    },
    form: { ...PLAIN, timeSteps: 1, orchestrators: 2, writers: 0, bypasses: false },
    breaks: /nobody will take the fence away|never comes back/,
  },
  {
    name: "an older attempt's marker is taken for this one's",
    rules: {
      ...PRODUCT,
      step: hears((event) =>
        event.kind === "markersSeen"
          ? {
              ...event,
              markers: event.markers.map((seen) => ({ ...seen, ticket: seen.ticket * 99 })),
            }
          : event,
      ),
    },
    form: { ...PLAIN, timeSteps: 1, cutovers: 2, writers: 1, bypasses: false },
    breaks: /missing/,
  },
  {
    name: "one source's marker is taken for all",
    rules: { ...PRODUCT, step: hears((event) => furthestOf(event, "taker")) },
    form: MERGE,
    breaks: /missing/,
  },
  {
    name: "one target's marker is taken for all",
    rules: { ...PRODUCT, step: hears((event) => furthestOf(event, "giver")) },
    form: SPLIT,
    breaks: /missing/,
  },
  {
    name: "one source's fence is taken for all",
    rules: {
      ...PRODUCT,
      step: (migration, event, nowMs) =>
        productStep(
          migration,
          event.kind === "fenced" ? fencedAll(event, migration) : event,
          nowMs,
        ),
    },
    form: MERGE,
    breaks: /never comes back/,
  },
  {
    name: "one target takes writes, and both are said to",
    rules: { ...PRODUCT, unfencesAll: false },
    form: SPLIT,
    breaks: /nobody will take the fence away/,
  },
  {
    name: "one source takes writes again, and both are said to",
    rules: { ...PRODUCT, unfencesAll: false },
    form: { ...MERGE, writers: 0, timeSteps: 1 },
    breaks: /nobody will take the fence away/,
  },
];

/** Each marker is as far as the furthest that has the same `end`. */
function furthestOf(event: Event, end: "giver" | "taker"): Event {
  if (event.kind !== "markersSeen") return event;
  const { markers } = event;
  const furthest = (of: string): number =>
    Math.max(...markers.filter((each) => each[end] === of).map(({ ticket }) => ticket));
  return { ...event, markers: markers.map((seen) => ({ ...seen, ticket: furthest(seen[end]) })) };
}

type Fenced = Extract<Event, { readonly kind: "fenced" }>;

function fencedAll(event: Fenced, { parties }: Migration): Fenced {
  const givers = parties.sources.map((database) => ({ database, systemId: "1", timeline: 1 }));
  return { ...event, givers };
}

function onward(result: Step, life: Life): Step {
  return result.kind === "moved" ? { ...result, migration: { ...result.migration, life } } : result;
}
