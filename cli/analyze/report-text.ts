/** A report for a terminal. */
import { tableLines } from "../table-lines.ts";
import { CLASS_MEANINGS, CLASS_TITLES, ROUTE_CLASSES, type RouteClass } from "./route-class.ts";
import type { ReasonReport, Report, TableReport, Weight } from "./report.ts";
import type { Suggestion } from "./suggestion.ts";

/** How many of each list a person is shown; JSON and HTML have all of them. */
const SHOWN = { reasons: 10, tables: 10, statements: 10, unread: 5, spanning: 5 };
const SQL_WIDTH = 100;

export function reportText(report: Report): string {
  const sections = [
    summary(report),
    reasons(report),
    tables(report),
    heaviest(report),
    unreadTexts(report),
    unknownTables(report),
    report.suggestion === undefined ? [] : suggested(report.suggestion),
  ];
  const texts = sections.filter((lines) => lines.length > 0).map((lines) => lines.join("\n"));
  return `${texts.join("\n\n")}\n`;
}

function summary(report: Report): readonly string[] {
  const { total, knowsTime, classes, sources, map } = report;
  const shares = knowsTime ? ["of calls", "of time"] : ["of calls"];
  const rows = classes
    .filter(({ statements }) => statements > 0)
    .map((one) => [
      CLASS_TITLES[one.class],
      String(one.statements),
      String(one.calls),
      ...(one.class === "session"
        ? shares.map(() => "")
        : [share(one.calls, total.calls), share(one.timeMs, total.timeMs)].slice(0, shares.length)),
      CLASS_MEANINGS[one.class],
    ]);
  const columns = ["", "statements", "calls", ...shares, ""];
  return [
    `${sources.join(", ")} against ${map}: ${count(total.statements, "statement")}, ${count(total.calls, "call")}${knowsTime ? `, ${duration(total.timeMs)}` : ""}`,
    "",
    ...(rows.length === 0 ? [NOTHING] : tableLines(columns, rows)),
  ];
}

const NOTHING =
  "  No statements. A server logs them with log_min_duration_statement = 0, or log_statement = all.";

function reasons(report: Report): readonly string[] {
  if (report.reasons.length === 0) return [];
  return [
    "Reasons",
    ...report.reasons.slice(0, SHOWN.reasons).flatMap((one) => ["", ...reason(one, report)]),
    ...left(report.reasons.length, SHOWN.reasons, "reason"),
  ];
}

function reason(one: ReasonReport, report: Report): readonly string[] {
  return [
    `  ${weight(one, report)}  ${CLASS_TITLES[one.class]}: ${one.message} (${one.id})`,
    `      ${oneLine(one.example)}`,
    ...(one.hint === undefined ? [] : [`      ${one.hint}`]),
  ];
}

function tables(report: Report): readonly string[] {
  if (report.tables.length === 0) return [];
  const rows = report.tables
    .slice(0, SHOWN.tables)
    .map((one) => [one.table, one.home, ...SHARED.map((name) => ofTable(one, name, report))]);
  return [
    `Tables to fix first (${report.knowsTime ? "share of the table's time" : "share of the table's calls"})`,
    "",
    ...tableLines(["table", "home", ...SHARED.map((name) => CLASS_TITLES[name])], rows),
    ...left(report.tables.length, SHOWN.tables, "table"),
  ];
}

const SHARED: readonly RouteClass[] = [
  "refused",
  "gathered",
  "streamed",
  "pruned",
  "single",
  "home",
];

function ofTable(one: TableReport, name: RouteClass, { knowsTime }: Report): string {
  const part = one.classes[name];
  return knowsTime ? share(part.timeMs, one.timeMs) : share(part.calls, one.calls);
}

function heaviest(report: Report): readonly string[] {
  if (report.statements.length === 0) return [];
  return [
    "Heaviest statements",
    "",
    ...report.statements
      .slice(0, SHOWN.statements)
      .map((one) => `  ${weight(one, report)}  ${CLASS_TITLES[one.class]}: ${oneLine(one.sql)}`),
    ...left(report.statements.length, SHOWN.statements, "statement"),
  ];
}

function unreadTexts({ unread }: Report): readonly string[] {
  if (unread.length === 0) return [];
  return [
    "Not planned",
    "",
    ...unread
      .slice(0, SHOWN.unread)
      .map(({ reason: why, place, calls }) => `  ${calls}  ${oneLine(why)} (first: ${place})`),
    ...left(unread.length, SHOWN.unread, "reason"),
  ];
}

function unknownTables({ unknownTables: names }: Report): readonly string[] {
  if (names.length === 0) return [];
  return [`Tables that neither the map nor the schema has: ${names.join(", ")}`];
}

function suggested(suggestion: Suggestion | null): readonly string[] {
  if (suggestion === null) return ["No better map was found."];
  const { yaml, before, after, spanning, unsharded } = suggestion;
  const total = callsOf(suggestion);
  const names = classesOf(suggestion);
  const rows = names.map((name) => [
    CLASS_TITLES[name],
    share(before[name], total),
    share(after[name], total),
  ]);
  return [
    "Suggested map (by calls)",
    "",
    ...tableLines(["", "now", "then"], rows),
    "",
    ...yaml
      .trimEnd()
      .split("\n")
      .map((line) => `  ${line}`),
    "",
    ...changesOf(suggestion).flatMap(({ title, messages }) => [
      `  ${printable(title)}`,
      ...messages.map((message) => `    ${printable(message)}`),
    ]),
    ...(unsharded.length === 0 ? [] : ["", `  not sharded: ${unsharded.join(", ")}`]),
    ...(spanning.length === 0 ? [] : ["", "  transactions that would write to several places:"]),
    ...spanning
      .slice(0, SHOWN.spanning)
      .map(({ tables: names_, transactions }) => `    ${transactions}  ${names_.join(", ")}`),
  ];
}

/** What the schema must change before each part of the map, also where that is nothing. */
export function changesOf({
  colocations,
  referenceTableChanges,
}: Suggestion): readonly { readonly title: string; readonly messages: readonly string[] }[] {
  const parts = colocations.map(({ name, schemaChanges }) => ({
    title: `colocation ${name}`,
    changes: schemaChanges,
  }));
  if (referenceTableChanges.length > 0)
    parts.push({ title: "reference tables", changes: referenceTableChanges });
  return parts.map(({ title, changes }) => ({
    title: `${title}: ${changes.length === 0 ? "the schema needs no change" : "the schema must change first"}`,
    messages: changes.map(({ message }) => message),
  }));
}

/** Calls of the statements about rows, which the shares are of. */
export function callsOf({ before }: Suggestion): number {
  return Object.values(before).reduce((sum, calls) => sum + calls, 0) - before.session;
}

/** Those that have calls under one of the maps. */
export function classesOf({ before, after }: Suggestion): readonly RouteClass[] {
  return ROUTE_CLASSES.filter((name) => name !== "session" && before[name] + after[name] > 0);
}

function weight(one: Weight, { knowsTime, total }: Report): string {
  const calls = `${share(one.calls, total.calls).padStart(6)} of calls`;
  return knowsTime ? `${share(one.timeMs, total.timeMs).padStart(6)} of time ${calls}` : calls;
}

/** One decimal; what is there at all is never 0.0 %. */
export function share(part: number, whole: number): string {
  if (part === 0 || whole === 0) return part === 0 ? "-" : "100%";
  const percent = (100 * part) / whole;
  return percent < 0.1 ? "<0.1%" : `${Number(percent.toFixed(1))}%`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Number(ms.toPrecision(3))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function left(all: number, shown: number, noun: string): readonly string[] {
  return all > shown ? [`  and ${count(all - shown, `more ${noun}`)}`] : [];
}

/** Control characters of a text must not reach the terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\s\p{Cc}]+/gu, " ").trim();
}

function oneLine(sql: string): string {
  const line = printable(sql);
  return line.length > SQL_WIDTH ? `${line.slice(0, SQL_WIDTH - 3)}...` : line;
}
