/**
 * A report as one page that needs nothing else: styles, data and the charts' library stand
 * in it, and its own policy forbids it to load anything. What came from the workload is
 * text, wherever it stands.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { CLASS_MEANINGS, CLASS_TITLES, ROUTE_CLASSES, type RouteClass } from "./route-class.ts";
import { callsOf, changesOf, classesOf, duration, share } from "./report-text.ts";
import type { Report } from "./report.ts";
import type { Suggestion } from "./suggestion.ts";

export function reportHtml(report: Report): string {
  const { total, knowsTime, sources, map } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(`Colonnade: ${sources.join(", ")}`)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${text(sources.join(", "))}</h1>
<p>${total.statements} statements, ${total.calls} calls${knowsTime ? `, ${duration(total.timeMs)}` : ""}, against the map ${text(map)}</p>
<section class="charts">
<figure><figcaption>Share of calls</figcaption><canvas id="calls"></canvas></figure>
${knowsTime ? `<figure><figcaption>Share of time</figcaption><canvas id="time"></canvas></figure>` : ""}
</section>
${classTable(report)}
${reasonTable(report)}
${report.tables.length === 0 ? "" : `<h2>Tables to fix first</h2><figure><canvas id="tables"></canvas></figure>`}
${statementTable(report)}
${unreadTable(report)}
${suggestionPart(report)}
<script>${chartLibrary()}</script>
<script>const data = ${script(chartData(report))};
${DRAW}</script>
</body>
</html>
`;
}

/** From green to red, told apart without color by their order and names. */
const COLORS: Readonly<Record<RouteClass, string>> = {
  single: "#1a7f4b",
  home: "#5aa469",
  pruned: "#a3c26b",
  streamed: "#e3b23c",
  gathered: "#e07b39",
  everywhere: "#7a7fb8",
  session: "#b8bcc4",
  refused: "#c0392b",
};

/** Tables in the chart: more bars than these are no picture. */
const CHARTED_TABLES = 20;

function chartData({ classes, tables, knowsTime }: Report): object {
  const used = classes.filter((one) => one.statements > 0 && one.class !== "session");
  const charted = tables.slice(0, CHARTED_TABLES);
  const stacked = ROUTE_CLASSES.filter((name) =>
    charted.some((one) => one.classes[name].calls > 0),
  );
  return {
    labels: used.map((one) => CLASS_TITLES[one.class]),
    colors: used.map((one) => COLORS[one.class]),
    calls: used.map(({ calls }) => calls),
    time: knowsTime ? used.map(({ timeMs }) => timeMs) : undefined,
    tables: charted.map((one) => one.table),
    stacks: stacked.map((name) => ({
      label: CLASS_TITLES[name],
      backgroundColor: COLORS[name],
      data: charted.map(({ classes: parts }) =>
        knowsTime ? parts[name].timeMs : parts[name].calls,
      ),
    })),
    unit: knowsTime ? "ms" : "calls",
  };
}

const DRAW = `
const doughnut = (id, values) => {
  const canvas = document.getElementById(id);
  if (canvas === null || values === undefined) return;
  new Chart(canvas, {
    type: "doughnut",
    data: { labels: data.labels, datasets: [{ data: values, backgroundColor: data.colors }] },
    options: { animation: false, plugins: { legend: { position: "right" } } },
  });
};
doughnut("calls", data.calls);
doughnut("time", data.time);
const bars = document.getElementById("tables");
if (bars !== null) {
  bars.parentElement.style.height = 6 + 2 * data.tables.length + "rem";
  new Chart(bars, {
    type: "bar",
    data: { labels: data.tables, datasets: data.stacks },
    options: {
      animation: false,
      indexAxis: "y",
      maintainAspectRatio: false,
      scales: { x: { stacked: true, title: { display: true, text: data.unit } }, y: { stacked: true } },
    },
  });
}
`;

function classTable({ classes, total, knowsTime }: Report): string {
  const shares = knowsTime ? ["of calls", "of time"] : ["of calls"];
  return table(
    ["", "statements", "calls", ...shares, "what it is"],
    classes
      .filter(({ statements }) => statements > 0)
      .map((one) => [
        CLASS_TITLES[one.class],
        String(one.statements),
        String(one.calls),
        ...(one.class === "session"
          ? shares.map(() => "")
          : [share(one.calls, total.calls), share(one.timeMs, total.timeMs)].slice(
              0,
              shares.length,
            )),
        CLASS_MEANINGS[one.class],
      ]),
  );
}

function reasonTable({ reasons, total, knowsTime }: Report): string {
  if (reasons.length === 0) return "";
  const rows = reasons.map((one) => [
    CLASS_TITLES[one.class],
    knowsTime ? share(one.timeMs, total.timeMs) : share(one.calls, total.calls),
    `${one.message}${one.hint === undefined ? "" : `\n${one.hint}`}`,
    one.tables.join(", "),
    one.example,
  ]);
  const weight = knowsTime ? "of time" : "of calls";
  return `<h2>Reasons</h2>${table(["", weight, "why, and what to do", "tables", "for example"], rows)}`;
}

function statementTable({ statements, total, knowsTime }: Report): string {
  const rows = statements.map((one) => [
    CLASS_TITLES[one.class],
    String(one.calls),
    share(one.calls, total.calls),
    ...(knowsTime ? [duration(one.timeMs), share(one.timeMs, total.timeMs)] : []),
    one.sql,
    one.place,
  ]);
  const columns = ["", "calls", "of calls", ...(knowsTime ? ["time", "of time"] : [])];
  return `<h2>Statements</h2>${table([...columns, "statement", "first seen"], rows)}`;
}

function unreadTable({ unread, unknownTables }: Report): string {
  const rows = unread.map(({ reason, place, calls }) => [String(calls), reason, place]);
  const names = unknownTables.join(", ");
  return [
    rows.length === 0 ? "" : `<h2>Not planned</h2>${table(["", "why", "first seen"], rows)}`,
    names === "" ? "" : `<p>Tables that neither the map nor the schema has: ${text(names)}</p>`,
  ].join("");
}

function suggestionPart({ suggestion }: Report): string {
  if (suggestion === undefined) return "";
  if (suggestion === null) return "<p>No better map was found.</p>";
  const { before, after, yaml, spanning } = suggestion;
  const total = callsOf(suggestion);
  const rows = classesOf(suggestion).map((name) => [
    CLASS_TITLES[name],
    share(before[name], total),
    share(after[name], total),
  ]);
  const across = spanning.map(({ tables, transactions }) => [
    String(transactions),
    tables.join(", "),
  ]);
  return `<h2>Suggested map</h2>${table(["of calls", "now", "then"], rows)}<pre>${text(yaml)}</pre>${changesPart(suggestion)}${
    across.length === 0
      ? ""
      : `<h3>Transactions that would write to several places</h3>${table(["", "tables"], across)}`
  }`;
}

function changesPart(suggestion: Suggestion): string {
  return changesOf(suggestion)
    .map(({ title, messages }) => {
      const items = messages.map((message) => `<li>${text(message)}</li>`).join("");
      return `<h3>${text(title)}</h3>${items === "" ? "" : `<ul>${items}</ul>`}`;
    })
    .join("");
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (tag: string, cells: readonly string[]): string =>
    `<tr>${cells.map((cell) => `<${tag}>${text(cell)}</${tag}>`).join("")}</tr>\n`;
  return `<table><thead>${line("th", columns)}</thead><tbody>${rows.map((row) => line("td", row)).join("")}</tbody></table>`;
}

function text(value: string): string {
  const escapes: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&#39;",
  };
  return value.replaceAll(/[&<>"']/g, (character) => escapes[character] ?? character);
}

/** JSON that ends no script element, and that every JavaScript reads as JSON does. */
function script(value: object): string {
  return JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The build that needs no module loader stands beside the one that the package exports. */
function chartLibrary(): string {
  const require = createRequire(import.meta.url);
  const directory = dirname(require.resolve("chart.js"));
  return readFileSync(join(directory, "chart.umd.min.js"), "utf8").replace(
    /\/\/# sourceMappingURL=.*\s*$/,
    "",
  );
}

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #1c2430; }
.charts { display: flex; flex-wrap: wrap; gap: 2rem; }
.charts figure { width: 24rem; }
figure { margin: 1rem 0; }
figcaption { font-weight: 600; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid #d8dde5; white-space: pre-wrap; overflow-wrap: anywhere; }
pre { background: #f4f6f9; padding: 1rem; overflow: auto; }
`;
