/**
 * The columns an INSERT gives values for, and those the proxy must fill, because the value
 * comes from a sequence that all placements share or must be the same in every database.
 */
import type { InsertStmt } from "@pgsql/types";
import type { CatalogColumn, CatalogRelation } from "../../shardmap/catalog.ts";
import type { GeneratedColumn } from "../generated-column.ts";
import type { InsertTarget } from "./expressions.ts";
import { refuse } from "../refusal.ts";

export interface InsertColumns {
  /** The columns the values are for, in the order of the values. */
  readonly given: readonly CatalogColumn[];
  /** Columns of the table that get no value. */
  readonly omitted: readonly CatalogColumn[];
  /** The client wrote a column list. */
  readonly isListed: boolean;
}

/**
 * Undefined where PostgreSQL refuses the columns (unknown, repeated, too many or too few
 * values): the statement then goes to a server for its words.
 */
export function insertColumns(
  insert: InsertStmt,
  relation: CatalogRelation,
  valueCounts: ReadonlySet<number>,
): InsertColumns | undefined {
  const listed = insert.cols === undefined ? undefined : listedColumns(insert, relation);
  if (insert.cols !== undefined && listed === undefined) return undefined;
  const [count = 0] = valueCounts;
  if (valueCounts.size > 1) return undefined;
  if (listed !== undefined && count !== listed.length) return undefined;
  if (count > relation.columns.length) return undefined;
  const given = listed ?? relation.columns.slice(0, count);
  return {
    given,
    omitted: relation.columns.filter((column) => !given.includes(column)),
    isListed: listed !== undefined,
  };
}

function listedColumns(
  { cols }: InsertStmt,
  relation: CatalogRelation,
): readonly CatalogColumn[] | undefined {
  const columns: CatalogColumn[] = [];
  for (const target of cols ?? []) {
    if (!("ResTarget" in target)) return undefined;
    const { name, indirection, location } = target.ResTarget;
    if (indirection !== undefined) {
      refuse(
        "insert_expression_not_supported",
        `assignment to a part of column "${name ?? ""}" is not supported in an INSERT into a mapped table`,
        { location, hint: "Give the whole value of the column." },
      );
    }
    const column = relation.columns.find((candidate) => candidate.name === name);
    if (column === undefined || columns.includes(column)) return undefined;
    columns.push(column);
  }
  return columns;
}

/** What the proxy fills the column with where it has no value of its own; undefined where the server does. */
export function generatedFor(
  column: CatalogColumn,
  target: InsertTarget,
  isKey: boolean,
): GeneratedColumn | undefined {
  const { fill, name } = column;
  switch (fill.kind) {
    case "sequence":
    case "identity":
      return {
        column: name,
        source: {
          kind: "sequence",
          schema: fill.schema,
          sequence: fill.sequence,
          isIdentity: fill.kind === "identity",
        },
      };
    case "randomUuid":
      // Each placement may make its own, but the shard key decides where, and copies must agree.
      return isKey || target === "reference"
        ? { column: name, source: { kind: "randomUuid" } }
        : undefined;
    default:
      return undefined;
  }
}
