/** A seed is a play that can be given again, and plays have all there is. */
import { expect, test } from "vitest";
import { seeded } from "../shardmap/random-keys.ts";
import { eventsOf } from "./events.ts";
import type { Event } from "./events.ts";
import { CUTS } from "./line.ts";
import { SCHEMA_CHANGES } from "./schema-changes.ts";

const CAST = { proxies: 3, servers: 3, dataLines: 4, placements: 4 };

function play(seed: number, count: number): readonly Event[] {
  const events: Event[] = [];
  for (const event of eventsOf(seeded(seed), CAST)) {
    if (events.length === count) break;
    events.push(event);
  }
  return events;
}

test("the same seed gives the same events, another one others", () => {
  expect(play(1, 200)).toEqual(play(1, 200));
  expect(play(1, 200)).not.toEqual(play(2, 200));
});

test("every trouble befalls every target in time", () => {
  const seen = new Set(
    play(1, 5_000).map((event) => {
      if (event.kind === "change schema")
        return `${event.planned.change} ${event.planned.through} ${event.planned.lookThrough}`;
      if (event.kind !== "trouble") return event.kind;
      const { trouble } = event;
      return "cut" in trouble
        ? `${trouble.kind} ${trouble.target} ${trouble.cut} ${trouble.isPartial}`
        : `${trouble.kind} ${trouble.target}`;
    }),
  );
  const cuts = (kind: string, targets: number): readonly string[] =>
    CUTS.flatMap((cut) =>
      [true, false].flatMap((isPartial) =>
        Array.from({ length: targets }, (_, target) => `${kind} ${target} ${cut} ${isPartial}`),
      ),
    );
  const processes = ["kill proxy", "stop proxy", "kill server"].flatMap((kind) =>
    Array.from({ length: 3 }, (_, target) => `${kind} ${target}`),
  );
  const changes = SCHEMA_CHANGES.flatMap((change) =>
    [0, 1, 2].flatMap((through) => [0, 1, 2].map((other) => `${change} ${through} ${other}`)),
  );
  const all = ["publish", "roll back", "hold", "calm", ...processes, ...changes];
  expect([...seen].toSorted()).toEqual(
    [...all, ...cuts("cut", CAST.dataLines), ...cuts("cut control", CAST.proxies)].toSorted(),
  );
});
