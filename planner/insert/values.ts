/**
 * Takes INSERT ... VALUES apart: each row with its shard key and its text, holes where the
 * proxy fills values, and the statement around the rows.
 */
import type { GeneratedColumn } from "../generated-column.ts";
import type { InsertStmt, Node } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { CatalogColumn, CatalogRelation } from "../../shardmap/catalog.ts";
import { generatedFor, insertColumns, type InsertColumns } from "./columns.ts";
import type { InsertTarget } from "./expressions.ts";
import { drawnByCall } from "./calls.ts";
import { assignedTerm, defaultTerm, type KeyPlace } from "./keys.ts";
import { insertLayout, type Extent, type InsertLayout, type InsertRowLayout } from "./layout.ts";
import type { KeyTerm } from "../logical-plan.ts";
import type { InsertPiece, InsertRow, InsertTemplate } from "./insert-plan.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { clockEdits, clockTemplate, type ClockEdit } from "../statement-clock.ts";
import { templateOf } from "../rewrite.ts";
import type { SqlTemplate, TemplateEdit } from "../sql-template.ts";

export interface InsertInput {
  readonly statement: ParsedStatement;
  readonly insert: InsertStmt;
  readonly relation: CatalogRelation;
  readonly target: InsertTarget;
  /** In the order of the shard key; empty for a reference table. */
  readonly keys: readonly KeyPlace[];
  /** The whole statement with its tables' edits. */
  readonly tables: SqlTemplate;
  readonly context: PlanContext;
}

export interface SplitInsert {
  readonly rows: readonly InsertRow[];
  readonly generated: readonly GeneratedColumn[];
  readonly template: InsertTemplate;
  /** Columns that a row leaves to the server's default. */
  readonly defaulted: readonly CatalogColumn[];
  /** See InsertPlan. */
  readonly readsClock: boolean;
}

/** Undefined where PostgreSQL refuses the column list: it then words the error. */
export function splitInsert(input: InsertInput): SplitInsert | undefined {
  const valuesLists = rowsOf(input.insert);
  const columns = insertColumns(
    input.insert,
    input.relation,
    new Set(valuesLists.map((row) => row.length)),
  );
  return columns === undefined
    ? undefined
    : new InsertSplitter(input, valuesLists, columns).split();
}

function rowsOf({ selectStmt }: InsertStmt): readonly (readonly Node[])[] {
  // DEFAULT VALUES is one row that gives no column a value.
  if (selectStmt === undefined || !("SelectStmt" in selectStmt)) return [[]];
  return (selectStmt.SelectStmt.valuesLists ?? []).map((row) =>
    "List" in row ? (row.List.items ?? []) : [],
  );
}

class InsertSplitter {
  readonly #input: InsertInput;
  readonly #values: readonly (readonly Node[])[];
  readonly #columns: InsertColumns;
  readonly #layout: InsertLayout;
  readonly #generated: GeneratedColumn[] = [];
  /** Omitted columns that the proxy fills, as indexes of `#generated`. */
  readonly #appended: readonly { readonly column: CatalogColumn; readonly index: number }[];
  /** Its rows may be of several databases. */
  readonly #isSplit: boolean;
  /** Of a split one: where its text reads the clock, in order. */
  readonly #clock: readonly ClockEdit[];
  #writesIdentity = false;

  constructor(input: InsertInput, values: readonly (readonly Node[])[], columns: InsertColumns) {
    this.#input = input;
    this.#values = values;
    this.#columns = columns;
    this.#layout = insertLayout(input.statement, input.insert);
    this.#isSplit = input.target === "sharded" && values.length > 1;
    this.#clock = this.#isSplit ? clockEdits(input.statement) : [];
    this.#appended = columns.omitted.flatMap((column) => {
      const index = this.#generatedIndex(column);
      return index === undefined ? [] : [{ column, index }];
    });
  }

  split(): SplitInsert {
    this.#checkIdentities();
    const rows = this.#values.map((values, row) => ({
      key: this.#key(values),
      pieces: this.#pieces(values, row),
    }));
    return {
      rows,
      generated: this.#generated,
      template: this.#template(),
      defaulted: this.#defaulted(),
      readsClock:
        this.#clock.length > 0 ||
        this.#generated.some(({ source }) => source.kind === "clockDefault"),
    };
  }

  #defaulted(): readonly CatalogColumn[] {
    const omitted = this.#columns.omitted.filter(
      (column) => !this.#appended.some((appended) => appended.column === column),
    );
    const given = this.#columns.given.filter((column, position) =>
      this.#values.some((row) => {
        const value = row[position];
        return (
          value !== undefined &&
          "SetToDefault" in value &&
          this.#filledIndex(column, value) === undefined
        );
      }),
    );
    return [...omitted, ...given];
  }

  /** Where the proxy's value of a column is drawn; the same for every row. */
  #generatedIndex(column: CatalogColumn): number | undefined {
    const isKey = this.#input.keys.some((key) => key.column === column);
    const generated =
      generatedFor(column, this.#input.target, isKey) ?? this.#clockDefault(column, isKey);
    if (generated === undefined) return undefined;
    if (column.fill.kind === "identity" && column.fill.always) this.#writesIdentity = true;
    return this.#addGenerated(generated);
  }

  /** One row is in one database, whose time is as good as any. */
  #clockDefault({ name, fill }: CatalogColumn, isKey: boolean): GeneratedColumn | undefined {
    if (!this.#isSplit || isKey || fill.kind !== "expression") return undefined;
    const template = clockTemplate(fill.sql);
    return template && { column: name, source: { kind: "clockDefault", template } };
  }

  #addGenerated(generated: GeneratedColumn): number {
    const known = this.#generated.findIndex((other) => isSameDraw(other, generated));
    return known >= 0 ? known : this.#generated.push(generated) - 1;
  }

  /** PostgreSQL's own refusal, which the OVERRIDING SYSTEM VALUE written for another column would hide. */
  #checkIdentities(): void {
    if (this.#input.insert.override !== "OVERRIDING_NOT_SET") return;
    for (const [position, column] of this.#columns.given.entries()) {
      if (column.fill.kind !== "identity" || !column.fill.always) continue;
      if (this.#values.every((row) => isDefault(row[position]))) continue;
      refuse(
        "identity_column_given",
        `cannot insert a non-DEFAULT value into column "${column.name}"`,
        {
          detail: `Column "${column.name}" is an identity column defined as GENERATED ALWAYS.`,
        },
      );
    }
  }

  #key(values: readonly Node[]): readonly KeyTerm[] {
    return this.#input.keys.map((place) => {
      const position = this.#columns.given.indexOf(place.column);
      const value = position < 0 ? undefined : values[position];
      const index = this.#filledIndex(place.column, value);
      if (index !== undefined) return { kind: "generated", index };
      if (value === undefined || "SetToDefault" in value)
        return defaultTerm(place, this.#input.insert.relation?.location);
      return assignedTerm(value, place, this.#input.context.parameterTypes);
    });
  }

  /** The generated value that stands for a column in a row; `value` is undefined for an omitted column. */
  #filledIndex(column: CatalogColumn, value: Node | undefined): number | undefined {
    if (value === undefined)
      return this.#appended.find((appended) => appended.column === column)?.index;
    const isIdentityIgnored =
      this.#input.insert.override === "OVERRIDING_USER_VALUE" && column.fill.kind === "identity";
    if ("SetToDefault" in value || isIdentityIgnored) return this.#generatedIndex(column);
    const source = drawnByCall(value, this.#input.context);
    return source === undefined ? undefined : this.#addGenerated({ column: column.name, source });
  }

  #pieces(values: readonly Node[], row: number): readonly InsertPiece[] {
    const layout = this.#layout.rows[row];
    const appended = this.#appended.map(({ index }): InsertPiece => ({ kind: "generated", index }));
    if (layout === undefined) return this.#defaultRowPieces(appended);
    const { text } = this.#input.statement;
    const pieces = new PieceWriter(text, layout.start);
    const clock = editsIn(layout, this.#clock);
    for (const [position, column] of this.#columns.given.entries()) {
      const index = this.#filledIndex(column, values[position]);
      const extent = valueExtent(layout, position);
      if (index !== undefined) pieces.replace(extent, { kind: "generated", index });
      else for (const edit of editsIn(extent, clock)) pieces.replace(edit, clockPiece(edit, text));
    }
    for (const piece of appended) pieces.insertAt(layout.end - 1, ", ", piece);
    return pieces.finish(layout.end);
  }

  /** DEFAULT VALUES as a row: `(1, 2)`, or `(DEFAULT)` for the table's first column. */
  #defaultRowPieces(appended: readonly InsertPiece[]): readonly InsertPiece[] {
    const start = this.#layout.rowsExtent.start;
    if (appended.length === 0) return [{ kind: "text", text: "(DEFAULT)", start }];
    const separated = appended.flatMap((piece, index): readonly InsertPiece[] => [
      { kind: "text", text: index === 0 ? "(" : ", ", start },
      piece,
    ]);
    return [...separated, { kind: "text", text: ")", start }];
  }

  #template(): InsertTemplate {
    const { rowsExtent } = this.#layout;
    const edits = [
      ...this.#input.tables.edits,
      ...this.#columnEdits(),
      ...this.#overridingEdits(),
      ...this.#valuesEdits(),
      ...this.#clock.filter(({ start, end }) => end <= rowsExtent.start || start >= rowsExtent.end),
    ];
    return {
      statement: templateOf(this.#input.statement.text, edits),
      rowsStart: rowsExtent.start,
      rowsEnd: rowsExtent.end,
    };
  }

  #columnEdits(): readonly TemplateEdit[] {
    const { targetEnd, columnsClose } = this.#layout;
    const added = this.#appended.map(({ column }) => column.name);
    if (this.#layout.rows.length === 0) {
      const names = added.length > 0 ? added : [this.#input.relation.columns[0]?.name ?? ""];
      return [insertion(targetEnd, ` (${names.map(quoteIdentifier).join(", ")})`)];
    }
    if (added.length === 0) return [];
    if (columnsClose !== undefined)
      return [insertion(columnsClose, added.map((name) => `, ${quoteIdentifier(name)}`).join(""))];
    const names = [...this.#columns.given.map(({ name }) => name), ...added];
    return [insertion(targetEnd, ` (${names.map(quoteIdentifier).join(", ")})`)];
  }

  /** DEFAULT VALUES becomes VALUES and a row: OVERRIDING, where there is one, stands before it. */
  #valuesEdits(): readonly TemplateEdit[] {
    return this.#layout.rows.length === 0 ? [insertion(this.#layout.valuesStart, "VALUES ")] : [];
  }

  /** A value the proxy writes into an identity column must count, whatever the client's clause says. */
  #overridingEdits(): readonly TemplateEdit[] {
    const { overridingUser, valuesStart } = this.#layout;
    if (overridingUser !== undefined)
      return [{ ...overridingUser, with: { kind: "text", text: "SYSTEM" } }];
    const isGiven = this.#input.insert.override === "OVERRIDING_SYSTEM_VALUE";
    return this.#writesIdentity && !isGiven
      ? [insertion(valuesStart, "OVERRIDING SYSTEM VALUE ")]
      : [];
  }
}

/** One column may take its default in a row, and another sequence's value in the next. */
function isSameDraw(left: GeneratedColumn, right: GeneratedColumn): boolean {
  if (left.column !== right.column || left.source.kind !== right.source.kind) return false;
  if (left.source.kind !== "sequence" || right.source.kind !== "sequence") return true;
  return (
    left.source.schema === right.source.schema && left.source.sequence === right.source.sequence
  );
}

function editsIn(extent: Extent, edits: readonly ClockEdit[]): readonly ClockEdit[] {
  return edits.filter(({ start, end }) => start >= extent.start && end <= extent.end);
}

function clockPiece({ start, end, with: value }: ClockEdit, text: string): InsertPiece {
  return { kind: "clock", text: text.slice(start, end), start, value };
}

function isDefault(value: Node | undefined): boolean {
  return value !== undefined && "SetToDefault" in value;
}

function insertion(at: number, text: string): TemplateEdit {
  return { start: at, end: at, with: { kind: "text", text } };
}

function valueExtent(layout: InsertRowLayout, position: number): Extent {
  const extent = layout.values[position];
  invariant(extent !== undefined, "a row's text has a part for each value");
  return extent;
}

/** Cuts a row's text where values are replaced. */
class PieceWriter {
  readonly #text: string;
  readonly #pieces: InsertPiece[] = [];
  #read: number;

  constructor(text: string, start: number) {
    this.#text = text;
    this.#read = start;
  }

  replace({ start, end }: Extent, piece: InsertPiece): void {
    this.#copyTo(start);
    this.#pieces.push(piece);
    this.#read = end;
  }

  insertAt(at: number, separator: string, piece: InsertPiece): void {
    this.#copyTo(at);
    this.#pieces.push({ kind: "text", text: separator, start: at }, piece);
  }

  finish(end: number): readonly InsertPiece[] {
    this.#copyTo(end);
    return this.#pieces;
  }

  #copyTo(end: number): void {
    if (end === this.#read) return;
    this.#pieces.push({ kind: "text", text: this.#text.slice(this.#read, end), start: this.#read });
    this.#read = end;
  }
}
