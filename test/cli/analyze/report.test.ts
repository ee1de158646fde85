import { runInNewContext, Script } from "node:vm";
import { beforeAll, expect, test } from "vitest";
import { planned } from "../../../cli/analyze/planned-workload.ts";
import { reportHtml } from "../../../cli/analyze/report-html.ts";
import { reportText } from "../../../cli/analyze/report-text.ts";
import { makeReport, type Report } from "../../../cli/analyze/report.ts";
import { Workload } from "../../../cli/analyze/workload.ts";
import { loadParser } from "../../../planner/parse.ts";
import { observation, sampleContext } from "./sample.ts";

beforeAll(loadParser);

function reportOf(...observed: readonly ReturnType<typeof observation>[]): Report {
  const context = sampleContext();
  const workload = new Workload();
  for (const one of observed) workload.add(one);
  const plans = workload.statements.flatMap((statement) => planned(statement, context) ?? []);
  const request = { sources: ["app.log"], mapFile: "map.yaml", map: context.map };
  return makeReport({ ...request, workload, planned: plans, suggestion: undefined });
}

const JOIN = "SELECT * FROM users u JOIN orders o ON o.id = u.id";
const MIXED = [
  observation("BEGIN", { calls: 50, timeMs: 1 }),
  observation("SELECT * FROM users WHERE id = $1", { calls: 60, timeMs: 30 }),
  observation("SELECT count(*) FROM users", { calls: 30, timeMs: 50 }),
  observation(JOIN, { calls: 10, timeMs: 20 }),
];

test("shares are of the statements about rows, by calls and by time", () => {
  const report = reportOf(...MIXED);
  expect(report.total).toEqual({ calls: 100, timeMs: 100, statements: 3 });
  const calls = Object.fromEntries(report.classes.map((one) => [one.class, one.calls]));
  expect(calls).toMatchObject({ single: 60, streamed: 30, refused: 10, session: 50, home: 0 });
  expect(report.statements.map(({ sql }) => sql)[0]).toBe("SELECT count(*) FROM users");
});

test("reasons have an example, their tables and a hint", () => {
  expect(reportOf(...MIXED).reasons).toMatchObject([
    { class: "streamed", calls: 30, message: "no shard key in predicate", tables: ["users"] },
    {
      class: "refused",
      calls: 10,
      id: "join_not_colocated",
      tables: ["orders", "users"],
      example: JOIN,
      hint: expect.stringContaining("u.id = o.user_id"),
    },
  ]);
});

test("tables with refused statements come first, whatever they weigh", () => {
  const { tables } = reportOf(...MIXED);
  expect(tables.map(({ table, home, reason }) => [table, home, reason.id])).toEqual([
    ["users", "sharded by id (users)", "join_not_colocated"],
    ["orders", "sharded by user_id (users)", "join_not_colocated"],
  ]);
  expect(tables[0]?.classes).toMatchObject({ single: { calls: 60 }, refused: { calls: 10 } });
});

test("without times, calls decide, and no share of time is shown", () => {
  const report = reportOf(observation("SELECT count(*) FROM users", { calls: 3 }));
  expect(report.knowsTime).toBe(false);
  expect(reportText(report)).not.toContain("time");
});

test("without statements the text says how a server would log them", () => {
  expect(reportText(reportOf())).toContain("log_min_duration_statement = 0");
});

test("a statement's text cannot steer the terminal", () => {
  const text = reportText(reportOf(observation('SELECT 1 AS "\u001b[2J\u0007"')));
  expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
});

const HOSTILE = `SELECT '</script><script>alert(1)</script>' AS "<img src=x onerror=alert(1)>" FROM nowhere /* & */`;

test("the page loads nothing, and what a workload holds stays text in it", () => {
  const html = reportHtml(reportOf(...MIXED, observation(HOSTILE), observation("' </script>")));
  expect(html).toContain("default-src 'none'");
  expect(html).not.toMatch(/<(?:script|link|img|iframe)[^>]*(?:src|href)=/i);
  expect(html).not.toContain("<script>alert");
  expect(html).not.toContain("<img");
  expect(html).toContain("&lt;img src=x onerror=alert(1)&gt;");
  expect(html.match(/<\/script>/g)).toHaveLength(2);
  expect(html).not.toContain("sourceMappingURL");
});

interface MadeChart {
  readonly type: string;
  readonly data: { readonly labels: readonly string[]; readonly datasets: readonly object[] };
}

test("the page's scripts run, and draw what the report says", () => {
  const html = reportHtml(reportOf(...MIXED));
  const [library = "", drawing = ""] = [...html.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(
    ([, script]) => script,
  );
  const made: MadeChart[] = [];
  const page = { self: {}, window: {}, document: documentOf(html), Chart: undefined as unknown };
  runInNewContext(library, page);
  expect(page.Chart).toHaveProperty("register");
  page.Chart = function draw(_canvas: object, config: MadeChart): void {
    made.push(config);
  };
  new Script(drawing).runInNewContext(page);
  expect(made.map(({ type }) => type)).toEqual(["doughnut", "doughnut", "bar"]);
  expect(made[0]?.data).toMatchObject({
    labels: ["single placement", "scatter, streamed", "refused"],
    datasets: [{ data: [60, 30, 10] }],
  });
  expect(made[1]?.data).toMatchObject({ datasets: [{ data: [30, 50, 20] }] });
  expect(made[2]?.data.labels).toEqual(["users", "orders"]);
});

/** As much of a document as the page's own script asks for. */
function documentOf(html: string): object {
  const ids = new Set([...html.matchAll(/<canvas id="(\w+)"/g)].map(([, id]) => id));
  return {
    getElementById: (id: string) => (ids.has(id) ? { parentElement: { style: {} } } : null),
  };
}
