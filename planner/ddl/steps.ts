/**
 * Makes the steps of a DDL plan: the client's text with its tables' names qualified for
 * each place, or one text for several databases. Every text is parsed again and compared
 * before it may run.
 */
import type { Node, RangeVar } from "@pgsql/types";
import type { DatabaseName } from "../../base/ids.ts";
import { quoteQualified } from "../../base/sql-quoting.ts";
import type { DdlPlan } from "../logical-plan.ts";
import type { ParsedStatement } from "../parse.ts";
import { nameExtent, verifyRenamed } from "../rewrite.ts";
import type { TableHome } from "./table-homes.ts";

export type DdlStep = DdlPlan["steps"][number];

/** A table name in the text, and the schema it has at a home. */
export interface NamePlace {
  readonly tree: RangeVar;
  readonly schemaAt: (home: TableHome) => string;
}

export interface DdlOptions {
  readonly block?: DdlPlan["block"];
  readonly changesCatalog?: boolean;
  readonly isTemporary?: boolean;
}

export function ddlPlan(
  rule: string,
  steps: readonly DdlStep[],
  options: DdlOptions = {},
): DdlPlan {
  return {
    kind: "ddl",
    access: "write",
    rule,
    block: options.block ?? "joined",
    steps,
    changesCatalog: options.changesCatalog ?? true,
    isTemporary: options.isTemporary ?? false,
  };
}

/** The client's text, as it is, in each of the databases. */
export function asWritten(
  { text }: ParsedStatement,
  databases: readonly DatabaseName[],
): readonly DdlStep[] {
  return databases.map((database) => ({ database, sql: text }));
}

/** The client's text in each home, its names qualified for it. */
export function splicedSteps(
  statement: ParsedStatement,
  homes: readonly TableHome[],
  names: readonly NamePlace[],
): readonly DdlStep[] {
  return homes.map((home) => ({ database: home.database, sql: splice(statement, home, names) }));
}

function splice(statement: ParsedStatement, home: TableHome, names: readonly NamePlace[]): string {
  const places = names.map(({ tree, schemaAt }) => ({
    tree,
    schema: schemaAt(home),
    ...nameExtent(statement, tree.location, partCount(tree)),
  }));
  let sql = "";
  let read = 0;
  for (const { tree, schema, start, end } of places.toSorted(
    (left, right) => left.start - right.start,
  )) {
    sql += `${statement.text.slice(read, start)}${quoteQualified(schema, tree.relname ?? "")}`;
    read = end;
  }
  sql += statement.text.slice(read);
  verifyRenamed(sql, statement.node, new Map(places.map(({ tree, schema }) => [tree, schema])));
  return sql;
}

export function partCount(tree: RangeVar): number {
  return 1 + Number(tree.schemaname !== undefined) + Number(tree.catalogname !== undefined);
}

/** The schema a table of the statement has where it stands itself. */
export function ownSchema(home: TableHome): string {
  return home.schema;
}

/** A statement of a type: `kindOf({ CreateStmt: ... })` is `CreateStmt`. */
export function kindOf(node: Node): string {
  return Object.keys(node)[0] ?? "";
}
