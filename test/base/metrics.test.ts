/** Instruments that are added to without a look-up show what prom-client's own would. */
import { Histogram, Registry } from "prom-client";
import { expect, test } from "vitest";
import { METRICS, Metrics, renderTogether } from "../../base/metrics.ts";

const SECONDS = [0, 0.0005, 0.000_500_1, 0.02, 0.3, 9.99, 10, 10.01, 400];

test("durations are shown as prom-client shows them", async () => {
  const name = "colonnade_statement_seconds";
  const { help, buckets } = METRICS[name];
  const registers = [new Registry()];
  const labelNames = ["route"];
  const own = new Histogram({ name, help, buckets: [...buckets], labelNames, registers });
  const metrics = new Metrics();
  const place = metrics.durations(name, { route: "single" });
  for (const [index, seconds] of SECONDS.entries()) {
    own.observe({ route: "single" }, seconds);
    if (index % 2 === 0) place.observe(seconds);
    else metrics.observe(name, { route: "single" }, seconds);
  }
  metrics.observe(name, { route: "scatter" }, 1);
  own.observe({ route: "scatter" }, 1);
  const lines = (text: string): readonly string[] =>
    text
      .split("\n")
      .filter((line) => line.includes(name))
      .toSorted();
  const expected = lines((await registers[0]?.metrics()) ?? "");
  expect(expected.length).toBeGreaterThan(30);
  expect(lines((await metrics.render()).text)).toEqual(expected);
  expect(lines((await renderTogether([await metrics.values()])).text)).toEqual(expected);
});

test("a tally is added up whenever somebody looks", async () => {
  const metrics = new Metrics();
  const labels = { kind: "read", route: "single" };
  const tally = metrics.tally("colonnade_statements_total", labels);
  const shown = async (): Promise<string | undefined> =>
    /^colonnade_statements_total.*$/m.exec((await metrics.render()).text)?.[0];
  expect(await shown()).toBeUndefined();
  tally.increment();
  tally.increment(2);
  metrics.increment("colonnade_statements_total", labels);
  expect(await shown()).toBe('colonnade_statements_total{kind="read",route="single"} 4');
  tally.increment();
  expect(await shown()).toBe('colonnade_statements_total{kind="read",route="single"} 5');
});
