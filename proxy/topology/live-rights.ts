/**
 * Compares what the role of a database's URL may do with a table, where its rows are, with what
 * clients may do with it by the canonical table. Pure. A right that is lacking there is an error of
 * some statements; a policy that is there alone hides rows, and nobody would be told.
 */
import type { MapTable } from "../../shardmap/shard-map.ts";
import type { Row } from "./catalog-build.ts";

/** Of the role that the URL names. */
export interface TableRights {
  /** Of SELECT, INSERT, UPDATE and DELETE, the schema's USAGE included. */
  readonly granted: ReadonlySet<string>;
  /** Row-level security decides which rows it sees. */
  readonly isFiltered: boolean;
}

export interface RightsProblem {
  readonly message: string;
  readonly remedy: string;
}

/** By the table's OID. */
export function buildRights(rows: readonly Row[]): ReadonlyMap<number, TableRights> {
  return new Map(
    rows.map(([oid, granted, isFiltered]) => [
      Number(oid),
      {
        granted: new Set(JSON.parse(granted ?? "[]") as readonly string[]),
        isFiltered: isFiltered === "t",
      },
    ]),
  );
}

/** `canonical`: of the canonical table, by the role of the catalog database. */
export function rightsProblems(
  kind: MapTable["kind"],
  own: TableRights,
  canonical: TableRights,
): readonly RightsProblem[] {
  const problems: RightsProblem[] = [];
  const needed = new Set(["SELECT", ...canonical.granted]);
  const lacking = [...needed].filter((right) => !own.granted.has(right));
  if (lacking.length > 0)
    problems.push({
      message: `the role of the database's URL has no ${lacking.join(", ")} on the table`,
      remedy:
        "GRANT it, with USAGE on the schema, to that role in this database, or give the URL the right role.",
    });
  const mayBeFiltered = kind !== "sharded" && canonical.isFiltered;
  if (own.isFiltered && !mayBeFiltered)
    problems.push({
      message: "row-level security hides rows from the role of the database's URL",
      remedy:
        "ALTER TABLE ... DISABLE ROW LEVEL SECURITY, or give the URL the table's owner or a role with BYPASSRLS.",
    });
  if (!own.isFiltered && kind !== "sharded" && canonical.isFiltered)
    problems.push({
      message:
        "row-level security hides rows of the canonical table, and none of this one, from the roles of the URLs",
      remedy: "ENABLE ROW LEVEL SECURITY, with the same policies, or disable it there.",
    });
  return problems;
}
