/**
 * FROM: the namespace it makes, the sources it reads, and which facts its ON conditions
 * give to which of them.
 *
 *     join            facts of the left side gain      of the right side gain
 *     inner           ON, the right's own              ON, the left's own
 *     left outer      nothing                          ON, the left's own
 *     full outer      nothing                          nothing
 *
 * "Own" facts are those that every row of a side satisfies; a left join's are its left's.
 */
import type { Alias, JoinExpr, Node, RangeFunction, RangeSubselect, RangeVar } from "@pgsql/types";
import { checkDepth, nameParts, unwrap } from "../ast.ts";
import { resolveTable } from "../names.ts";
import { readConjuncts } from "./conjuncts.ts";
import { equalityFamily } from "./column-types.ts";
import { walkExpression } from "./expressions.ts";
import type { Fact, Level, OuterJoin, Source } from "./model.ts";
import { visibleColumns, type NamespaceItem, type VisibleColumn } from "./namespace.ts";
import {
  addCondition,
  addFacts,
  type AnalysisRun,
  type Place,
  type WithQuery,
  type WithScope,
} from "./run.ts";
import { computedSource, itemOf, querySource, tableSource } from "./sources.ts";

export interface FromPart {
  readonly items: readonly NamespaceItem[];
  readonly sources: readonly Source[];
  /** Those of the sources that no outer join of the part fills with NULLs. */
  readonly kept: readonly Source[];
  /** What every row of the part satisfies. */
  readonly always: readonly Fact[];
}

const NOTHING: FromPart = { items: [], sources: [], kept: [], always: [] };

export class FromReader {
  readonly #run: AnalysisRun;
  readonly #level: Level;
  readonly #place: Place;

  constructor(run: AnalysisRun, level: Level, place: Place) {
    this.#run = run;
    this.#level = level;
    this.#place = place;
  }

  /** A FROM list: its entries are joined by nothing, which is an inner join. */
  list(nodes: readonly Node[], before: FromPart | undefined): FromPart {
    let whole: FromPart = before ?? NOTHING;
    for (const node of nodes) {
      const part = this.#item(node, whole.items, this.#place.depth);
      whole = this.#joinInner(whole, part, [], [...whole.items, ...part.items]);
    }
    return whole;
  }

  #item(node: Node, lateral: readonly NamespaceItem[], depth: number): FromPart {
    checkDepth(depth);
    if ("RangeVar" in node) return this.table(node.RangeVar, false);
    if ("JoinExpr" in node) return this.#join(node.JoinExpr, lateral, depth + 1);
    if ("RangeSubselect" in node) return this.#subselect(node.RangeSubselect, lateral);
    if ("RangeFunction" in node) return this.#function(node.RangeFunction, lateral);
    if ("RangeTableSample" in node) {
      const { relation, method: _, location, ...rest } = node.RangeTableSample;
      this.#run.barsSharded(
        "tablesample_not_supported",
        "TABLESAMPLE is not supported for sharded tables",
        location,
      );
      this.#walk(rest, lateral);
      if (relation !== undefined) return this.#item(relation, lateral, depth + 1);
    }
    const other = unwrap(node);
    this.#walk(other?.body, lateral);
    return this.#leaf(
      computedSource("computed", naming("", other?.body["alias"] as Alias | undefined, undefined)),
      undefined,
    );
  }

  /** A table's name in FROM, or the target of a writing statement. */
  table(reference: RangeVar, isWritten: boolean): FromPart {
    const name = reference.relname ?? "";
    const named = naming(name, reference.alias, reference.location);
    const query =
      reference.schemaname === undefined && !isWritten
        ? findWith(name, this.#place.withScope)
        : undefined;
    if (query !== undefined) return this.#leaf(withSource(query, named), undefined);
    const table = resolveTable(reference, this.#run.context);
    this.#run.tables.push({ table, location: reference.location, isWritten, level: this.#level });
    const relation = "relation" in table ? table.relation : undefined;
    const source = tableSource({ kind: "table", table }, relation, named);
    return this.#leaf(
      source,
      reference.alias === undefined ? (relation?.schema ?? reference.schemaname) : undefined,
    );
  }

  #leaf(source: Source, schema: string | undefined): FromPart {
    this.#level.sources.push(source);
    this.#level.facts.set(source, []);
    return { items: [itemOf(source, schema)], sources: [source], kept: [source], always: [] };
  }

  #subselect(node: RangeSubselect, lateral: readonly NamespaceItem[]): FromPart {
    const { parent } = this.#place;
    const scope = node.lateral === true ? { items: lateral, parent, level: this.#level } : parent;
    const { subquery, alias } = node;
    const named = naming("", alias, undefined);
    if (subquery === undefined) return this.#leaf(computedSource("computed", named), undefined);
    const level = this.#run.query(this.#run, subquery, {
      ...this.#place,
      parent: scope,
      depth: this.#place.depth + 1,
    });
    return this.#leaf(querySource(level, { ...named, location: level.location }), undefined);
  }

  #function(node: RangeFunction, lateral: readonly NamespaceItem[]): FromPart {
    this.#walk(node.functions, lateral);
    const [first] = node.functions ?? [];
    const call = first !== undefined && "List" in first ? first.List.items?.[0] : undefined;
    const name =
      call !== undefined && "FuncCall" in call
        ? nameParts(call.FuncCall.funcname).at(-1)
        : undefined;
    return this.#leaf(
      computedSource("computed", naming(name ?? "", node.alias, undefined)),
      undefined,
    );
  }

  #walk(expressions: unknown, lateral: readonly NamespaceItem[]): void {
    const scope = { items: lateral, parent: this.#place.parent, level: this.#level };
    walkExpression(this.#run, expressions, scope, this.#place);
  }

  #join(join: JoinExpr, lateral: readonly NamespaceItem[], depth: number): FromPart {
    if (join.larg === undefined || join.rarg === undefined) return NOTHING;
    const left = this.#item(join.larg, lateral, depth);
    const right = this.#item(join.rarg, [...lateral, ...left.items], depth);
    const type = JOIN_TYPES[join.jointype ?? ""] ?? "full";
    const merged = mergedColumns(join, left, right);
    const scope = {
      items: [...left.items, ...right.items],
      parent: this.#place.parent,
      level: this.#level,
    };
    const on = readConjuncts(this.#run, join.quals, scope, this.#place, type === "inner");
    const facts = [...on.facts, ...mergedFacts(merged, this.#run)];
    addCondition(this.#level, join.quals, filteredByOn(type, left, right), scope);
    const items = joinItems(join, type, left, right, merged);
    if (type !== "inner") return this.#joinOuter(type, left, right, facts, items);
    const part = this.#joinInner(left, right, facts, items);
    return this.withSemiJoined(part, on.semiJoined);
  }

  #joinInner(
    left: FromPart,
    right: FromPart,
    facts: readonly Fact[],
    items: readonly NamespaceItem[],
  ): FromPart {
    addFacts(this.#level, left.sources, [...facts, ...right.always]);
    addFacts(this.#level, right.sources, [...facts, ...left.always]);
    return {
      items,
      sources: [...left.sources, ...right.sources],
      kept: [...left.kept, ...right.kept],
      always: [...left.always, ...right.always, ...facts],
    };
  }

  #joinOuter(
    type: OuterJoin["type"],
    left: FromPart,
    right: FromPart,
    facts: readonly Fact[],
    items: readonly NamespaceItem[],
  ): FromPart {
    this.#level.outerJoins.push({ type, left: left.sources, right: right.sources, on: facts });
    if (type === "left") addFacts(this.#level, right.sources, [...facts, ...left.always]);
    if (type === "right") addFacts(this.#level, left.sources, [...facts, ...right.always]);
    const always = type === "left" ? left.always : type === "right" ? right.always : [];
    const kept = type === "left" ? left.kept : type === "right" ? right.kept : [];
    return { items, sources: [...left.sources, ...right.sources], kept, always };
  }

  /** Sub-selects of `x IN (SELECT ...)` conjuncts stand beside the sources they filter. */
  withSemiJoined(part: FromPart, semiJoined: readonly Source[]): FromPart {
    for (const source of semiJoined) {
      this.#level.sources.push(source);
      this.#level.facts.set(source, [...part.always]);
    }
    return { ...part, sources: [...part.sources, ...semiJoined] };
  }
}

/** An outer join's ON says nothing of the rows it preserves: they are there without a match. */
function filteredByOn(type: string, left: FromPart, right: FromPart): readonly Source[] {
  switch (type) {
    case "inner":
      return [...left.kept, ...right.kept];
    case "left":
      return right.kept;
    case "right":
      return left.kept;
    default:
      return [];
  }
}

const JOIN_TYPES: Readonly<Record<string, "inner" | OuterJoin["type"]>> = {
  JOIN_INNER: "inner",
  JOIN_LEFT: "left",
  JOIN_RIGHT: "right",
  JOIN_FULL: "full",
};

function naming(name: string, alias: Alias | undefined, location: number | undefined) {
  return {
    name: alias?.aliasname ?? name,
    columnNames: nameParts(alias?.colnames),
    isOpen: false,
    location,
  };
}

function findWith(name: string, scope: WithScope | undefined): WithQuery | undefined {
  for (let at = scope; at !== undefined; at = at.outer) if (at.name === name) return at.query;
  return undefined;
}

function withSource(query: WithQuery, named: ReturnType<typeof naming>): Source {
  if (query.kind === "recursion") return computedSource("recursion", named);
  const columnNames = [...query.columnNames];
  for (const [index, name] of named.columnNames.entries()) columnNames[index] = name;
  // A WITH query names fewer columns than an alias at times; holes keep the query's own names.
  return querySource(query.level, { ...named, columnNames, isOpen: query.addsColumns });
}

interface MergedColumn {
  readonly name: string;
  readonly left: VisibleColumn | undefined;
  readonly right: VisibleColumn | undefined;
}

/** The columns of USING or NATURAL; undefined where NATURAL's cannot be known. */
function mergedColumns(
  join: JoinExpr,
  left: FromPart,
  right: FromPart,
): readonly MergedColumn[] | undefined {
  const leftColumns = visibleColumns(left.items);
  const rightColumns = visibleColumns(right.items);
  const only = (columns: readonly VisibleColumn[], name: string): VisibleColumn | undefined => {
    const found = columns.filter((column) => column.name === name);
    return found.length === 1 ? found[0] : undefined;
  };
  const merge = (name: string): MergedColumn => ({
    name,
    left: only(leftColumns.columns, name),
    right: only(rightColumns.columns, name),
  });
  if (join.isNatural !== true) return nameParts(join.usingClause).map(merge);
  if (leftColumns.isOpen || rightColumns.isOpen) return undefined;
  const rightNames = new Set(rightColumns.columns.map(({ name }) => name));
  return leftColumns.columns
    .filter(({ name }) => rightNames.has(name))
    .map(({ name }) => merge(name));
}

function mergedFacts(
  merged: readonly MergedColumn[] | undefined,
  run: AnalysisRun,
): readonly Fact[] {
  const { catalog } = run.context;
  return (merged ?? []).flatMap(({ left, right }): Fact[] => {
    if (left?.column === undefined || right?.column === undefined) return [];
    const family = equalityFamily(left.column, catalog);
    const isSame = family !== undefined && family === equalityFamily(right.column, catalog);
    return isSame ? [{ kind: "columns", left: left.column, right: right.column }] : [];
  });
}

/** A join shows its merged columns first, then what is left of either side; an alias hides its parts. */
function joinItems(
  join: JoinExpr,
  type: string,
  left: FromPart,
  right: FromPart,
  merged: readonly MergedColumn[] | undefined,
): readonly NamespaceItem[] {
  const leftColumns = visibleColumns(left.items);
  const rightColumns = visibleColumns(right.items);
  const names = new Set((merged ?? []).map(({ name }) => name));
  const rest = [...leftColumns.columns, ...rightColumns.columns].filter(
    ({ name }) => !names.has(name),
  );
  const kept = (merged ?? []).map((column) => ({
    name: column.name,
    column: keptColumn(column, type),
  }));
  const isOpen = merged === undefined || leftColumns.isOpen || rightColumns.isOpen;
  const renames = nameParts(join.alias?.colnames);
  const columns =
    merged === undefined
      ? []
      : [...kept, ...rest].map((column, index) => ({
          ...column,
          name: renames[index] ?? column.name,
        }));
  const whole: NamespaceItem = {
    name: join.alias?.aliasname,
    schema: undefined,
    columns: isOpen && renames.length > 0 ? [] : columns,
    isOpen,
    columnsAreVisible: true,
  };
  const parts = join.alias === undefined ? [...left.items, ...right.items] : [];
  const hidden = parts.map((item) => ({ ...item, columnsAreVisible: false }));
  return join.join_using_alias?.aliasname === undefined
    ? [...hidden, whole]
    : [
        ...hidden,
        whole,
        {
          ...whole,
          name: join.join_using_alias.aliasname,
          columns: kept,
          isOpen: false,
          columnsAreVisible: false,
        },
      ];
}

/** USING keeps the preserved side's column; a FULL JOIN's is neither. */
function keptColumn({ left, right }: MergedColumn, type: string) {
  switch (type) {
    case "inner":
    case "left":
      return left?.column;
    case "right":
      return right?.column;
    default:
      return undefined;
  }
}
