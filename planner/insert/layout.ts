/**
 * Where the parts of an INSERT's text stand: the column list, the VALUES keyword, each row
 * and each of its values. The tree gives starts of expressions only; the tokens give the rest.
 */
import type { InsertStmt } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import { locationOf } from "../ast.ts";
import type { ParsedStatement } from "../parse.ts";
import { afterIdentifier } from "../rewrite.ts";

/** UTF-16 offsets in the statement's text; `end` is exclusive. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

export interface InsertLayout {
  /** Just past the table's name and alias: where a column list may be written. */
  readonly targetEnd: number;
  /** The closing parenthesis of the column list, if there is one. */
  readonly columnsClose: number | undefined;
  /** The word USER of OVERRIDING USER VALUE. */
  readonly overridingUser: Extent | undefined;
  /** The word VALUES, or DEFAULT of DEFAULT VALUES. */
  readonly valuesStart: number;
  readonly rows: readonly InsertRowLayout[];
  /** From the first row to the last; for DEFAULT VALUES those two words. */
  readonly rowsExtent: Extent;
}

export interface InsertRowLayout extends Extent {
  readonly values: readonly Extent[];
}

export function insertLayout(statement: ParsedStatement, insert: InsertStmt): InsertLayout {
  const reader = new LayoutReader(statement);
  reader.skipTarget(insert);
  const targetEnd = reader.previousEnd;
  const columnsClose = insert.cols === undefined ? undefined : reader.skipParentheses();
  const overridingUser = reader.skipOverriding();
  if (insert.selectStmt === undefined) {
    const rowsExtent = reader.takeWords("default", "values");
    return {
      targetEnd,
      columnsClose,
      overridingUser,
      valuesStart: rowsExtent.start,
      rows: [],
      rowsExtent,
    };
  }
  const valuesStart = reader.skipToValues();
  const rows = reader.takeRows();
  const rowsExtent = { start: rows[0]?.start ?? valuesStart, end: reader.previousEnd };
  checkAgainstTree(insert, rows);
  return { targetEnd, columnsClose, overridingUser, valuesStart, rows, rowsExtent };
}

export interface QueryLayout {
  /** The word INSERT: a WITH clause may stand before it. */
  readonly insertStart: number;
  /** The query whose rows are inserted. */
  readonly query: Extent;
}

/** Where the parts of INSERT ... SELECT stand. */
export function queryLayout(statement: ParsedStatement, insert: InsertStmt): QueryLayout {
  const reader = new LayoutReader(statement);
  const insertStart = reader.skipTarget(insert);
  if (insert.cols !== undefined) reader.skipParentheses();
  reader.skipOverriding();
  return { insertStart, query: reader.takeQuery(insert) };
}

/** Reads on from token to token. What it expects the grammar has proven, so a surprise is our own mistake. */
class LayoutReader {
  readonly #statement: ParsedStatement;
  #index = 0;

  constructor(statement: ParsedStatement) {
    this.#statement = statement;
  }

  get previousEnd(): number {
    return this.#extent(this.#index - 1).end;
  }

  /** Gives the offset of the word INSERT. */
  skipTarget({ relation }: InsertStmt): number {
    invariant(relation !== undefined, "an INSERT has a target");
    this.#index = this.#statement.tokenIndexAt(this.#statement.offsetOf(relation.location));
    const { start } = this.#extent(this.#index - 2);
    const parts =
      1 + Number(relation.schemaname !== undefined) + Number(relation.catalogname !== undefined);
    for (let part = 1; part < parts; part++)
      this.#index = afterIdentifier(this.#statement, this.#index) + 1;
    this.#index = afterIdentifier(this.#statement, this.#index);
    if (relation.alias !== undefined)
      this.#index = afterIdentifier(this.#statement, this.#index + 1);
    return start;
  }

  /** Up to ON CONFLICT, RETURNING or the end. */
  takeQuery({ onConflictClause, returningClause }: InsertStmt): Extent {
    const { start } = this.#extent(this.#index);
    const conflict = onConflictClause?.location;
    if (conflict !== undefined)
      this.#index = this.#statement.tokenIndexAt(this.#statement.offsetOf(conflict));
    else if (returningClause !== undefined)
      this.#index = this.#returningIndex(locationOf(returningClause.exprs));
    else this.#index = this.#statement.tokens.length;
    return { start, end: this.previousEnd };
  }

  /** The last word RETURNING before what is returned: it is reserved, and so no column's, but may be a label. */
  #returningIndex(returned: number | undefined): number {
    let index = this.#statement.tokenIndexAt(this.#statement.offsetOf(returned));
    while (index > this.#index && this.#word(index) !== "returning") index--;
    return index;
  }

  /** Past a parenthesised part; gives the offset of its closing one. */
  skipParentheses(): number {
    invariant(this.#is("("), "a column list begins with a parenthesis");
    let depth = 0;
    for (;;) {
      if (this.#is("(")) depth++;
      if (this.#is(")") && --depth === 0) break;
      this.#index++;
    }
    const { start } = this.#extent(this.#index);
    this.#index++;
    return start;
  }

  skipOverriding(): Extent | undefined {
    if (!this.#is("overriding")) return undefined;
    const kind = this.#extent(this.#index + 1);
    const isUser = this.#word(this.#index + 1) === "user";
    this.#index += 3;
    return isUser ? kind : undefined;
  }

  takeWords(...words: readonly string[]): Extent {
    const { start } = this.#extent(this.#index);
    for (const word of words) {
      invariant(this.#is(word), `the words of DEFAULT VALUES follow each other: ${word}`);
      this.#index++;
    }
    return { start, end: this.previousEnd };
  }

  /** VALUES, which may itself stand in parentheses. */
  skipToValues(): number {
    while (this.#is("(")) this.#index++;
    invariant(this.#is("values"), "rows follow the word VALUES");
    const { start } = this.#extent(this.#index);
    this.#index++;
    return start;
  }

  takeRows(): readonly InsertRowLayout[] {
    const rows = [this.#takeRow()];
    while (this.#is(",")) {
      this.#index++;
      rows.push(this.#takeRow());
    }
    return rows;
  }

  #takeRow(): InsertRowLayout {
    invariant(this.#is("("), "a row begins with a parenthesis");
    const { start } = this.#extent(this.#index);
    const values: Extent[] = [];
    let valueStart = this.#extent(this.#index + 1).start;
    let depth = 0;
    do {
      if (this.#is("(") || this.#is("[")) depth++;
      else if (this.#is(")") || this.#is("]")) depth--;
      const isSeparator = depth === 1 && this.#is(",");
      if (isSeparator || depth === 0) values.push({ start: valueStart, end: this.previousEnd });
      if (isSeparator) valueStart = this.#extent(this.#index + 1).start;
      this.#index++;
    } while (depth > 0);
    return { start, end: this.previousEnd, values };
  }

  #is(text: string): boolean {
    const token = this.#statement.tokens[this.#index];
    return (
      token !== undefined &&
      token.end - token.start === text.length &&
      this.#word(this.#index) === text
    );
  }

  #word(index: number): string {
    const { start, end } = this.#extent(index);
    return this.#statement.text.slice(start, end).toLowerCase();
  }

  #extent(index: number): Extent {
    const token = this.#statement.tokens[index];
    invariant(token !== undefined, "an INSERT's parts lie within its text");
    return token;
  }
}

function checkAgainstTree(insert: InsertStmt, rows: readonly InsertRowLayout[]): void {
  const select =
    insert.selectStmt !== undefined && "SelectStmt" in insert.selectStmt
      ? insert.selectStmt.SelectStmt
      : undefined;
  const lists = select?.valuesLists ?? [];
  invariant(lists.length === rows.length, "the text has as many rows as the tree");
  for (const [index, list] of lists.entries()) {
    const items = "List" in list ? (list.List.items ?? []) : [];
    invariant(
      items.length === rows[index]?.values.length,
      "a row's text has as many values as its tree",
    );
  }
}
