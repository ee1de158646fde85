/**
 * Which columns of a copied table a statement may read: those whose names it writes
 * anywhere, and all where it writes something that stands for columns by their place. A
 * superset is right; a column too few would be an error of the database that finishes.
 */
import type { Alias, ColumnRef, JoinExpr, Node, RangeVar, SelectStmt, SubLink } from "@pgsql/types";
import type { Level, Source } from "../analyze/model.ts";
import { nameParts, unwrap, walkNodes, type Unwrapped } from "../ast.ts";

export interface NamedColumns {
  /** Last parts of column names, and names of USING. */
  readonly names: ReadonlySet<string>;
  /** What `.*` is written after. */
  readonly starred: ReadonlySet<string>;
  /** Of the levels that have a bare `*`. */
  readonly starredSources: ReadonlySet<Source>;
  /** NATURAL, a join with an alias, or a table's alias that names columns by their place. */
  readonly isAll: boolean;
}

/** `levels`: all of the statement. */
export function namedColumns(statement: Node, levels: Iterable<Level>): NamedColumns {
  const names = new Set<string>();
  const starred = new Set<string>();
  const existing = new Set<object>();
  let isAll = false;
  const visit = ({ kind, body }: Unwrapped): boolean => {
    switch (kind) {
      case "ColumnRef": {
        const { fields }: ColumnRef = body;
        const name = nameParts(fields).at(-1);
        if (!endsInStar(fields)) names.add(name ?? "");
        else if (name !== undefined) starred.add(name);
        return false;
      }
      case "RangeVar":
        isAll ||= namesColumns((body as RangeVar).alias);
        return true;
      case "JoinExpr": {
        const join: JoinExpr = body;
        // What `.*` after a join's alias stands for are columns of both its sides.
        isAll ||= join.isNatural === true || join.alias !== undefined;
        for (const name of nameParts(join.usingClause)) names.add(name);
        return true;
      }
      case "SubLink":
        return !walkExists(body);
      default:
        return true;
    }
  };
  /** EXISTS asks whether there are rows, whatever `*` would give of them. */
  const walkExists = ({ subLinkType, subselect }: SubLink): boolean => {
    const select = unwrap(subselect);
    if (subLinkType !== "EXISTS_SUBLINK" || select?.kind !== "SelectStmt") return false;
    const { targetList = [], ...rest }: SelectStmt = select.body;
    existing.add(select.body);
    walkNodes([targetList.filter((target) => !isStar(target)), rest], visit);
    return true;
  };
  walkNodes(statement, visit);
  const starredLevels = [...levels].filter(
    (level) =>
      level.statement.kind === "select" &&
      !existing.has(level.statement.node) &&
      level.statement.node.targetList?.some(isBareStar),
  );
  const starredSources = new Set(starredLevels.flatMap(({ sources }) => sources));
  return { names, starred, starredSources, isAll };
}

function namesColumns(alias: Alias | undefined): boolean {
  return (alias?.colnames?.length ?? 0) > 0;
}

function isStar(target: Node): boolean {
  const value = "ResTarget" in target ? target.ResTarget.val : undefined;
  return value !== undefined && "ColumnRef" in value && endsInStar(value.ColumnRef.fields);
}

/** All columns of the level's sources. */
function isBareStar(target: Node): boolean {
  const value = "ResTarget" in target ? target.ResTarget.val : undefined;
  const fields = value !== undefined && "ColumnRef" in value ? value.ColumnRef.fields : undefined;
  return fields?.length === 1 && endsInStar(fields);
}

function endsInStar(fields: readonly Node[] | undefined): boolean {
  const last = fields?.at(-1);
  return last !== undefined && "A_Star" in last;
}
