/** Whether two answers to one step are the same, and if not, why. */
import type { ErrorId } from "../../base/sql-error.ts";
import type { Item } from "./answer.ts";
import type { Statement } from "./statement.ts";
import { TABLES } from "./tables.ts";

/** SQLSTATEs the proxy may refuse with where PostgreSQL answers: not supported, too long, too complex. */
const REFUSAL_STATES: ReadonlySet<string> = new Set(["0A000", "54000", "54001"]);

/** Refusals by other states: PostgreSQL's own state for what cannot be done in a read-only transaction. */
const REFUSAL_IDS: ReadonlySet<string> = new Set(["gather_read_only"] satisfies readonly ErrorId[]);

/** A backend's errors name the source file (`F`); the proxy's own name their id as the routine (`R`). */
function isOwnError(fields: Readonly<Record<string, string>>): boolean {
  return fields["F"] === undefined;
}

/** The first refusal of the answer, or undefined where the proxy answered. */
export function refusalOf(items: readonly Item[], hasExecution = true): string | undefined {
  for (const item of items) {
    if (item.kind !== "error" || !isOwnError(item.fields)) continue;
    const isNamed = item.fields["R"] !== undefined;
    const isRefusal =
      REFUSAL_STATES.has(item.fields["C"] ?? "") || REFUSAL_IDS.has(item.fields["R"] ?? "");
    if (isRefusal || (isNamed && !hasExecution)) return refusalReason(item.fields);
  }
  return undefined;
}

/** The error's id where it is told, else its message without the names in it. */
function refusalReason(fields: Readonly<Record<string, string>>): string {
  return (fields["R"] ?? fields["M"] ?? "").replaceAll(/"[^"]*"/g, '"…"').replaceAll(/\d+/g, "N");
}

/** Data exceptions, as of a division by zero or an overflow. */
const DATA_EXCEPTION = /^22/;
/** varlena.c asks for a collation once it compares two texts: a plan that meets no second one never asks. */
const INDETERMINATE_COLLATION = "42P22";

/**
 * One side fails while an expression is evaluated, and the other has not met the row that it fails on: over
 * fewer rows another plan may be chosen. Only where the statement leaves open which rows that are
 * (`isOpen`), and never where rows were changed. Manual: 4.2.14, "Expression Evaluation Rules".
 */
export function failsBySomePlans(
  expected: readonly Item[],
  actual: readonly Item[],
  isOpen: boolean,
): boolean {
  const failures = [expected, actual].map((items) => items.find(({ kind }) => kind === "error"));
  const [failure, more] = failures.filter((item) => item !== undefined);
  if (failure?.kind !== "error" || more !== undefined) return false;
  if ([...expected, ...actual].some(hasChangedRows)) return false;
  const { C: sqlstate = "" } = failure.fields;
  return sqlstate === INDETERMINATE_COLLATION || (isOpen && DATA_EXCEPTION.test(sqlstate));
}

function hasChangedRows(item: Item): boolean {
  return (
    item.kind === "message" &&
    item.type === "C" &&
    /^(INSERT 0|UPDATE|DELETE|MERGE) [1-9]/.test(item.text)
  );
}

/** Undefined where the answers are the same. */
export function differenceOf(
  expected: readonly Item[],
  actual: readonly Item[],
  statements: readonly Statement[],
): string | undefined {
  const left = comparable(expected);
  const right = comparable(actual);
  const isOrdered = statements.length === 1 && statements[0]?.order === "total";
  const leniency = leniencyOf(statements);
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [want, have] = [left[index], right[index]];
    if (want === undefined || have === undefined)
      return `message ${index}: ${want === undefined ? "one too many" : "missing"}`;
    const why = itemDifference(want, have, isOrdered, leniency);
    if (why !== undefined) return `message ${index}: ${why}`;
  }
  return undefined;
}

/**
 * What a failing statement says before its error is not compared: how many rows it sends
 * depends on their order, and whether it fails when it is parsed, bound or run depends on
 * when its constants are computed. Statements that were completed before it are compared.
 */
function withoutPartialAnswers(items: readonly Item[]): Item[] {
  const kept: Item[] = [];
  for (const item of items) {
    if (item.kind === "error") {
      while (kept.length > 0 && !isEndOfStatement(kept.at(-1) as Item)) kept.pop();
    }
    kept.push(item);
  }
  return kept;
}

/** CommandComplete, EmptyQueryResponse, CloseComplete and a notice; a portal that was suspended may fail yet. */
function isEndOfStatement(item: Item): boolean {
  return item.kind === "error" || (item.kind === "message" && "CI3N".includes(item.type));
}

/** ParameterStatus may come anywhere before ReadyForQuery: moved to the end, sorted. */
function comparable(items: readonly Item[]): Item[] {
  const isStatus = (item: Item): boolean => item.kind === "message" && item.type === "S";
  const statuses = items
    .filter(isStatus)
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  return [...withoutPartialAnswers(items.filter((item) => !isStatus(item))), ...statuses];
}

function itemDifference(
  want: Item,
  have: Item,
  isOrdered: boolean,
  leniency: Leniency,
): string | undefined {
  if (want.kind !== have.kind) return `${kindOf(want)} expected, ${kindOf(have)} came`;
  switch (want.kind) {
    case "message": {
      const other = have as typeof want;
      return want.type === other.type && want.text === other.text
        ? undefined
        : `${want.type} "${want.text}" expected, ${other.type} "${other.text}" came`;
    }
    case "columns": {
      const other = have as typeof want;
      const at = want.columns.findIndex((column, index) => column !== other.columns[index]);
      if (at >= 0)
        return `column ${at}: "${want.columns[at]}" expected, "${other.columns[at]}" came`;
      return want.columns.length === other.columns.length ? undefined : "another number of columns";
    }
    case "rows":
      return rowsDifference(want.rows, (have as typeof want).rows, isOrdered);
    case "error":
      return errorDifference(want.fields, (have as typeof want).fields, leniency);
  }
}

function kindOf(item: Item): string {
  if (item.kind === "message") return `${item.type} "${item.text}"`;
  return item.kind === "error" ? `error ${item.fields["C"]} ${item.fields["M"]}` : item.kind;
}

function rowsDifference(
  want: readonly string[],
  have: readonly string[],
  isOrdered: boolean,
): string | undefined {
  if (want.length !== have.length) return `${want.length} rows expected, ${have.length} came`;
  const left = isOrdered ? want : want.toSorted();
  const right = isOrdered ? have : have.toSorted();
  const at = left.findIndex((row, index) => row !== right[index]);
  if (at < 0) return undefined;
  const isOrderOnly = isOrdered && want.toSorted().join("\0") === have.toSorted().join("\0");
  return isOrderOnly ? `rows in another order from row ${at} on` : `row ${at} differs`;
}

/** What two errors of one statement may differ in. */
type Leniency = "any two errors" | "generated values" | "none";

function leniencyOf(statements: readonly Statement[]): Leniency {
  if (statements.some(({ mayFailTwice }) => mayFailTwice)) return "any two errors";
  const hasGenerated = statements.some(({ sql }) => GENERATING.some((name) => sql.includes(name)));
  return hasGenerated ? "generated values" : "none";
}

/** Tables with columns that the servers fill: a detail that prints a whole row prints those too. */
const GENERATING = TABLES.filter(({ columns }) => columns.some(({ isOpaque }) => isOpaque)).map(
  ({ name }) => name,
);

/** Found before anything that a server would look at first. */
const FOUND_EARLIER: ReadonlySet<string> = new Set(["shard_key_null"]);

/**
 * What arithmetic gives for a row. Where one row divides by zero, another leaves the range of one type
 * and a third that of another, the scan that comes to its row first fails first.
 */
const OF_SOME_ROW: ReadonlySet<string> = new Set(["22003", "22012"]);

/** indeterminate_collation */
const NO_COLLATION = "42P22";

/** In PostgreSQL's own words: a gather's overflow is of all rows, and not of the first that was met. */
function isOfSomeRow(fields: Readonly<Record<string, string>>): boolean {
  return OF_SOME_ROW.has(fields["C"] ?? "") && !isOwnError(fields);
}

/** Severity, SQLSTATE, message, detail, position, and the names of what it is about. */
const ERROR_FIELDS = ["S", "V", "C", "M", "D", "H", "P", "s", "t", "c", "d", "n"];

function errorDifference(
  want: Readonly<Record<string, string>>,
  have: Readonly<Record<string, string>>,
  leniency: Leniency,
): string | undefined {
  if (leniency === "any two errors") return undefined;
  if ([want, have].every(isOfSomeRow)) return undefined;
  // The proxy's own words are of its own catalogue; what kind of error it is must be the same.
  const isOwn = isOwnError(have) && have["R"] !== undefined;
  if (isOwn && (want["C"] === have["C"] || FOUND_EARLIER.has(have["R"] ?? ""))) return undefined;
  const isRowPrinted = want["D"]?.startsWith("Failing row contains") ?? false;
  const ignored = new Set<string>();
  if (leniency === "generated values" && isRowPrinted) ignored.add("D");
  // Its message says whether the plan compared or hashed.
  if (want["C"] === NO_COLLATION && have["C"] === NO_COLLATION) ignored.add("M");
  const field = ERROR_FIELDS.find((name) => !ignored.has(name) && want[name] !== have[name]);
  if (field === undefined) return undefined;
  const [wanted, came] = [want[field] ?? "", have[field] ?? ""];
  return `error field ${field}: "${wanted}" expected, "${came}" came (${have["C"]} ${have["M"]})`;
}
