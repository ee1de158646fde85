/**
 * Parses the texts of a workload: as they came, or, where pg_stat_statements has put a
 * parameter for a constant where the grammar wants one (`interval $1`, `SET a = $1`), with
 * constants in such places again.
 */
import { tokenize } from "../../planner/lexer.ts";
import { parseSql, type ParsedStatement } from "../../planner/parse.ts";
import { SqlError } from "../../base/sql-error.ts";

export type ParsedText =
  | { readonly kind: "statements"; readonly statements: readonly ParsedStatement[] }
  | { readonly kind: "unread"; readonly reason: string };

export function parseText(sql: string): ParsedText {
  let reason: string | undefined;
  for (const text of [sql, withConstants(sql, isAfterType), withConstants(sql, () => true)]) {
    const parsed = parsedOrReason(text);
    if (typeof parsed !== "string") return { kind: "statements", statements: parsed };
    reason ??= parsed;
  }
  return { kind: "unread", reason: reason ?? "" };
}

function parsedOrReason(text: string): readonly ParsedStatement[] | string {
  try {
    const outcome = parseSql(text);
    switch (outcome.kind) {
      case "empty":
        return [];
      case "statements":
        return outcome.statements;
      case "rejected":
        return outcome.message;
    }
  } catch (error) {
    if (error instanceof SqlError) return error.message;
    throw error;
  }
}

/** Types whose literals are written as the name and a string, so that no parameter may follow. */
const LITERAL_TYPES: ReadonlySet<string> = new Set([
  "interval",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "zone",
]);

function isAfterType(before: string): boolean {
  return LITERAL_TYPES.has(before.toLowerCase());
}

function withConstants(sql: string, isWanted: (before: string) => boolean): string {
  const pieces: string[] = [];
  let copied = 0;
  let before = "";
  for (const { kind, start, end } of tokenize(sql)) {
    if (kind === "parameter" && isWanted(before)) {
      pieces.push(sql.slice(copied, start), "'0'");
      copied = end;
    }
    before = sql.slice(start, end);
  }
  pieces.push(sql.slice(copied));
  return pieces.join("");
}
