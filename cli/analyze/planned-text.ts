/**
 * Parses the texts of a workload: as they came, or, where pg_stat_statements has put a
 * parameter where the grammar wants something else (`SAVEPOINT $1`, `FETCH $1 FROM c`), with
 * something else there. Most such places, `interval $1` and `SET a = $1` among them, the
 * grammar takes as they are: libpg_query is made for such texts.
 */
import { tokenize } from "../../planner/lexer.ts";
import { parseSql, type ParsedStatement } from "../../planner/parse.ts";
import { SqlError } from "../../base/sql-error.ts";

export type ParsedText =
  | { readonly kind: "statements"; readonly statements: readonly ParsedStatement[] }
  | { readonly kind: "unread"; readonly reason: string };

/** What else may stand: a text, a number, a name. */
const SUBSTITUTES = ["'0'", "0", "p"];

export function parseText(sql: string): ParsedText {
  const asItCame = parsedOrReason(sql);
  if (typeof asItCame !== "string") return { kind: "statements", statements: asItCame };
  for (const substitute of SUBSTITUTES) {
    const text = withSubstitutes(sql, substitute);
    const parsed = text === undefined ? asItCame : parsedOrReason(text);
    if (typeof parsed !== "string") return { kind: "statements", statements: parsed };
  }
  return { kind: "unread", reason: asItCame };
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

/** Undefined where there is no parameter. */
function withSubstitutes(sql: string, substitute: string): string | undefined {
  const pieces: string[] = [];
  let copied = 0;
  for (const { kind, start, end } of tokenize(sql)) {
    if (kind !== "parameter") continue;
    pieces.push(sql.slice(copied, start), substitute);
    copied = end;
  }
  return copied === 0 ? undefined : [...pieces, sql.slice(copied)].join("");
}
