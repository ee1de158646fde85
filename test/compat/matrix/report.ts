/** What the matrix found, as the page docs/compatibility.md. It knows no servers and runs nothing. */
import { COMMON_CHECKS, type CommonCheck, type CompatProgram } from "./compat-program.ts";
import type { Outcome } from "./outcomes.ts";

export interface ProgramOutcome {
  readonly program: CompatProgram;
  readonly outcome: Outcome;
}

const MARKS = { passed: "✓", failed: "✗", absent: "–" } as const;

export function compatibilityPage(outcomes: readonly ProgramOutcome[]): string {
  const notes = new Notes();
  const table = outcomes.map((outcome) => tableRow(outcome, notes));
  const checks = Object.keys(COMMON_CHECKS);
  return `${[
    "# Compatibility",
    "",
    "Written by `npm run test:compat -- --write`, which runs each of these programs against one PostgreSQL 18 and against the",
    "proxy before three databases with four placements, over TLS with SCRAM, in transaction pooling, with the client's",
    "default settings. A program is the client with the checks of this page, written in its own language, in",
    "[test/compat/matrix/programs](../test/compat/matrix/programs). What is not on this page has not been tried.",
    "",
    "Five more libraries of Node.js run in the repository's own tests (`test/compat/orm-*.postgres.test.ts`): " +
      "Sequelize, TypeORM, Drizzle, Kysely and Knex make their tables, write, read, join, page and roll back as on one PostgreSQL.",
    "",
    "- **Sequelize**: `findOrCreate()` of a row that is not there makes a function of the session's own, which is refused; `findCreateFind()` gives the same and works. " +
      "`sync()` of a model with an ENUM sends DO, which is refused: make the type in a migration, by CREATE TYPE.",
    "- **Django**: `loaddata` and what `sqlsequencereset` prints set a sequence by `SELECT setval(...) FROM table`, which is refused for a sharded " +
      "or reference table: read `max(id)` first, and give the value to a `SELECT setval('users_id_seq', 42)` of its own.",
    "",
    `| client | version | ${checks.join(" | ")} |`,
    `| --- | --- | ${checks.map(() => "---").join(" | ")} |`,
    ...table,
    "",
    "✓ passed, ✗ failed, – the client has no such feature; empty: it was not asked, but for what is listed below.",
    "",
    ...notes.lines(),
    "## The checks",
    "",
    "| check | what it does |",
    "| --- | --- |",
    ...Object.entries(COMMON_CHECKS).map(([check, text]) => `| ${check} | ${text} |`),
    "",
    ...extraChecks(outcomes),
    ...differences(outcomes),
  ]
    .join("\n")
    .trimEnd()}\n`;
}

/** Footnotes, numbered as they come; the same text has one number. */
class Notes {
  readonly #texts: string[] = [];

  mark(text: string): string {
    if (!this.#texts.includes(text)) this.#texts.push(text);
    return ` <sup>${this.#texts.indexOf(text) + 1}</sup>`;
  }

  lines(): readonly string[] {
    if (this.#texts.length === 0) return [];
    return [...this.#texts.map((text, index) => `${index + 1}. ${text}`), ""];
  }
}

function tableRow({ program, outcome }: ProgramOutcome, notes: Notes): string {
  const checks = Object.keys(COMMON_CHECKS);
  const name = `${program.name} (${program.language})`;
  if (outcome.kind === "skipped") {
    const mark = notes.mark(`Skipped: ${cell(outcome.missing)}.`);
    return `| ${name} | skipped${mark} | ${checks.map(() => " ").join(" | ")} |`;
  }
  const cells = checks.map((check) => {
    const own: readonly CommonCheck[] | undefined = program.checks;
    if (own !== undefined && !own.some((each) => each === check)) return " ";
    const found = outcome.checks[check];
    if (found === undefined || found.outcome === "passed") return MARKS.passed;
    const whose = found.outcome === "failed" ? `${program.name}: ` : "";
    return MARKS[found.outcome] + notes.mark(`${whose}${cell(found.detail ?? "")}.`);
  });
  return `| ${name} | ${cell(outcome.version)} | ${cells.join(" | ")} |`;
}

function extraChecks(outcomes: readonly ProgramOutcome[]): readonly string[] {
  const rows = outcomes.flatMap(({ program, outcome }) =>
    Object.entries(program.extraChecks ?? {}).map(([check, text]) => {
      const found = outcome.kind === "ran" ? outcome.checks[check] : undefined;
      const mark = found === undefined ? "skipped" : MARKS[found.outcome];
      const detail =
        found === undefined || found.outcome === "passed" ? "" : `: ${cell(found.detail ?? "")}`;
      return `| ${program.name} | ${check} | ${text} | ${mark}${detail} |`;
    }),
  );
  if (rows.length === 0) return [];
  return [
    "## What one client alone is asked",
    "",
    "| client | check | what it does | |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
  ];
}

function differences(outcomes: readonly ProgramOutcome[]): readonly string[] {
  const rows = outcomes.flatMap(({ program, outcome }) =>
    outcome.kind === "skipped"
      ? []
      : outcome.differing.map((asked) => {
          const reason = program.differences?.[asked] ?? "";
          return `| ${program.name} ${cell(outcome.version)} | \`${cell(asked).replaceAll("`", "'")}\` | ${reason} |`;
        }),
  );
  if (rows.length === 0) return [];
  return [
    "## What is printed otherwise than by PostgreSQL",
    "",
    "Everything else that these clients were asked printed the same, character by character, but for times, ports and process ids, " +
      "the sender's in a notification among them: it is that of a server connection, and not the sender's pg_backend_pid().",
    "",
    "| client | asked | because |",
    "| --- | --- | --- |",
    ...rows,
    "",
  ];
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|").trim().replace(/\.$/, "");
}
