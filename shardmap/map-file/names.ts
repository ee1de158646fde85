/** The names in a map file: of databases and colocations (ours), of schemas, tables and columns (PostgreSQL's). */
import { IDENTIFIER_BYTES_MAX } from "../../base/limits.ts";
import {
  didYouMean,
  type FieldPath,
  type ProblemList,
  quoted,
} from "../../base/document/problems.ts";

/** Ours stand in `database.schema`, metrics and URLs, so they are plain. */
const PLAIN_NAME = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** Schemas that are PostgreSQL's or the product's own: no placement or group may be there. */
const RESERVED_SCHEMA = /^(?:pg_.*|information_schema|colonnade)$/;

export function checkPlainName(
  kind: string,
  name: string,
  path: FieldPath,
  problems: ProblemList,
): void {
  if (!PLAIN_NAME.test(name)) {
    problems.report(
      path,
      `${kind} name ${quoted(name)} has other characters than letters, digits, "_" and "-", or begins with a digit`,
      "Rename it; the name is used in this file and in messages only.",
      "name",
    );
  } else checkLength(kind, name, path, problems, "name");
}

/** Kept as it is written, as PostgreSQL keeps a name in double quotes: upper case is not folded. */
export function checkIdentifier(
  kind: "schema" | "table" | "column" | "sequence",
  name: string,
  path: FieldPath,
  problems: ProblemList,
  part: "name" | "value" = "value",
): void {
  checkLength(kind, name, path, problems, part);
  if (kind === "schema" && RESERVED_SCHEMA.test(name)) {
    problems.report(
      path,
      `schema ${quoted(name)} is reserved`,
      "Choose a schema of the application's own.",
      part,
    );
  }
  if (kind === "table" && name.includes(".")) {
    problems.report(
      path,
      `table ${quoted(name)} is named with a schema`,
      `Write ${quoted(name.slice(name.lastIndexOf(".") + 1))}: tables stand in the canonical schema, and \`schema\` says where their rows are.`,
      part,
    );
  }
}

export function checkDatabase(
  name: string,
  databases: ReadonlySet<string>,
  path: FieldPath,
  problems: ProblemList,
): void {
  if (databases.has(name)) return;
  const otherwise =
    databases.size === 0
      ? "Add it under `databases`."
      : `Use one of ${[...databases].slice(0, 10).join(", ")}, or add it.`;
  problems.report(
    path,
    `database ${quoted(name)} is not under \`databases\``,
    didYouMean(name, databases, otherwise),
  );
}

/** Every table has one place in the map: where each name was first listed, to name it beside the second. */
export class TableRegister {
  readonly #problems: ProblemList;
  readonly #listedIn = new Map<string, string>();

  constructor(problems: ProblemList) {
    this.#problems = problems;
  }

  has(table: string): boolean {
    return this.#listedIn.has(table);
  }

  /** `where`: `colocation "users"`, `group "billing"`, `reference_tables`. */
  add(table: string, where: string, path: FieldPath, part: "name" | "value"): void {
    checkIdentifier("table", table, path, this.#problems, part);
    const first = this.#listedIn.get(table);
    if (first === undefined) {
      this.#listedIn.set(table, where);
      return;
    }
    const message =
      first === where
        ? `table ${quoted(table)} is listed twice in ${where}`
        : `table ${quoted(table)} is listed in ${where}, and already in ${first}`;
    this.#problems.report(path, message, "A table has one place: remove one of the two.", part);
  }
}

function checkLength(
  kind: string,
  name: string,
  path: FieldPath,
  problems: ProblemList,
  part: "name" | "value",
): void {
  const bytes = Buffer.byteLength(name, "utf8");
  if (bytes <= IDENTIFIER_BYTES_MAX) return;
  problems.report(
    path,
    `${kind} name ${quoted(name)} has ${bytes} bytes`,
    `PostgreSQL's names have at most ${IDENTIFIER_BYTES_MAX} bytes: it would cut this one.`,
    part,
  );
}
