/**
 * docs/limits.md: what is refused, told by the cases of the planner's specification that
 * are refused. So each limit has a statement that is refused just so, by a test.
 */
import { invariant } from "../base/invariant.ts";
import { ERRORS, type ErrorDefinition } from "../base/sql-error.ts";
import { readPlanCases, type PlanCase } from "./plan-cases.ts";
import { printBound, SIZE_BOUNDS } from "./size-bounds.ts";

/** SQLSTATE of feature_not_supported: PostgreSQL would have answered. */
const NOT_SUPPORTED = "0A000";

const GATHERS = "Answers of several placements";

/** Which files of cases are about what, in the order of the document. */
const TOPICS: readonly (readonly [title: string, files: RegExp])[] = [
  ["Joins", /^joins/],
  ["Sub-selects", /^subqueries/],
  [GATHERS, /^(?:gathering|numbers)/],
  ["Shard keys", /^(?:pinning|ranges)/],
  ["Writes", /^(?:writes|inserts|merge)/],
  ["COPY", /^copies/],
  ["Row locks", /^locks/],
  ["Triggers, rules and defaults", /^effects/],
  ["Functions", /^functions/],
  ["Names and views", /^(?:names|views)/],
  ["DDL", /^ddl/],
  ["Other statements", /^/],
];

interface RefusedCase {
  readonly id: string;
  readonly file: string;
  readonly sql: string;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

/** The document without its heading. `files`: the specification's texts by file name. */
export function limitsDocument(files: ReadonlyMap<string, string>): string {
  const refused = [...files].flatMap(([file, text]) =>
    readPlanCases(text).cases.flatMap((one) => refusedCase(file, one) ?? []),
  );
  const byId = Map.groupBy(refused, ({ id }) => id);
  const topics = Map.groupBy([...byId.values()], topicOf);
  const sections = TOPICS.map(([title]) => section(title, topics.get(title) ?? []));
  return [
    `What PostgreSQL would answer and Colonnade refuses, with SQLSTATE \`${NOT_SUPPORTED}\`; and, [at the end](#bounds-of-size), how large things may be.
Nothing that is missing here is answered wrongly: a statement that is not refused is answered as one PostgreSQL would, but for what
[differs by design](planner.md#what-differs-by-design). Statements whose shard key is given run on one placement as they
are, so nearly all of these limits are met only by statements that reach several.

The examples are cases of the planner's own tests: their tables are in [schema.sql](../test/plan/testdata/schema.sql), their
shard map is [map.yaml](../test/plan/testdata/map.yaml). \`colonnade explain\` tells of any statement where it goes (it looks up
tables and shard keys, and leaves the names and types of other columns to the server), and
[\`colonnade analyze\`](analyze.md) of a whole workload.
`,
    ...sections,
    others(new Set(byId.keys())),
    bounds(),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

const FIRST_LINE = /^ERROR (?<sqlstate>\w{5}) (?<id>\w+): (?<message>.*)$/;

function refusedCase(
  file: string,
  { input, expected, options }: PlanCase,
): RefusedCase | undefined {
  const [first = "", ...more] = expected.split("\n");
  const { sqlstate, id, message } = FIRST_LINE.exec(first)?.groups ?? {};
  // What a case assumes beside the schema and the map would have to be told with it.
  if (sqlstate !== NOT_SUPPORTED || id === undefined || message === undefined) return undefined;
  if (options.some(([name]) => name === "path" || name === "types")) return undefined;
  const field = (name: string): string | undefined =>
    more.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
  return { id, file, sql: input, message, detail: field("DETAIL"), hint: field("HINT") };
}

/** That with most of an error's cases; that of gathers, which meet the limits of all others, last. */
function topicOf(cases: readonly RefusedCase[]): string {
  const counted = TOPICS.map(([title]) => {
    const count = cases.filter(({ file }) => titleOf(file) === title).length;
    return { title, count: title === GATHERS ? Math.min(count, 0.5) : count };
  });
  return counted.reduce((most, one) => (one.count > most.count ? one : most)).title;
}

function titleOf(file: string): string {
  return TOPICS.find(([, files]) => files.test(file))?.[0] ?? "";
}

function section(title: string, errors: readonly (readonly RefusedCase[])[]): string {
  if (errors.length === 0) return "";
  const entries = errors
    .map((cases) => simplest(cases.filter(({ file }) => titleOf(file) === title)))
    .toSorted((a, b) => byText(a.id, b.id));
  return `## ${title}\n\n${entries.map(entry).join("\n")}`;
}

/** The shortest statement shows best what it is about. */
function simplest(cases: readonly RefusedCase[]): RefusedCase {
  return cases.reduce((best, one) =>
    one.sql.length < best.sql.length || (one.sql.length === best.sql.length && one.sql < best.sql)
      ? one
      : best,
  );
}

function entry({ id, sql, message, detail, hint }: RefusedCase): string {
  const { when } = definitionOf(id);
  const answer = [
    `ERROR:  ${message}`,
    ...(detail === undefined ? [] : [`DETAIL:  ${detail}`]),
    ...(hint === undefined ? [] : [`HINT:  ${hint}`]),
  ];
  return `### ${id}

${when}

\`\`\`sql
${sql}
\`\`\`
\`\`\`text
${answer.join("\n")}
\`\`\`
`;
}

/** Mostly what a plan cannot show: refusals of a session, of an execution, of a server. */
function others(shown: ReadonlySet<string>): string {
  const rows = Object.entries<ErrorDefinition>(ERRORS)
    .filter(([id, { sqlstate }]) => sqlstate === NOT_SUPPORTED && !shown.has(id))
    .toSorted(([a], [b]) => byText(a, b))
    .map(([id, { when, hint = "" }]) => `| \`${id}\` | ${cell(when)} | ${cell(hint)} |`);
  if (rows.length === 0) return "";
  return `## Other refusals

Of a session, of an execution, or of statements of which the planner's tests have no example.

| id | when | hint |
| --- | --- | --- |
${rows.join("\n")}
`;
}

function bounds(): string {
  const rows = SIZE_BOUNDS.map((bound) => {
    const { sqlstate } = definitionOf(bound.id);
    return `| ${cell(bound.of)} | ${printBound(bound)} | \`${sqlstate}\` | \`${bound.id}\` |`;
  });
  return `## Bounds of size

The proxy is one process for all its clients, so what one of them may take of it is bounded where PostgreSQL, with a process
for each, has no bound or a larger one. Beyond it there is an error, and never a part of an answer.

| what | at most | SQLSTATE | id |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function definitionOf(id: string): ErrorDefinition {
  const definition = (ERRORS as Readonly<Record<string, ErrorDefinition>>)[id];
  invariant(definition !== undefined, `a case is refused with ${id}, which the catalogue knows`);
  return definition;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
