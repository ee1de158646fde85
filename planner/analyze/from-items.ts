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
import { walkExpression } from "./expressions.ts";
import type { Fact, Level, OuterJoin, Source } from "./model.ts";
import { fullJoinSource, mergedFacts, mergedPairs, shownColumn } from "./merged-columns.ts";
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
    const { catalog } = this.#run.context;
    const pairs = mergedPairs(join, left.items, right.items);
    const full = type === "full" ? fullJoinSource(pairs, catalog) : undefined;
    const scope = {
      items: [...left.items, ...right.items],
      parent: this.#place.parent,
      level: this.#level,
    };
    const on = readConjuncts(this.#run, join.quals, scope, this.#place, type === "inner");
    const facts = [...on.facts, ...mergedFacts(pairs, catalog)];
    addCondition(this.#level, join.quals, filteredByOn(type, left, right), scope);
    const shown = pairs?.map((pair) => ({
      name: pair.name,
      column: shownColumn(pair, type, full?.merged ?? []),
    }));
    const items = joinItems(join, left, right, shown);
    if (type !== "inner") return this.#joinOuter({ type, left, right, on: facts, full }, items);
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
    { type, left, right, on, full }: JoinedOuter,
    items: readonly NamespaceItem[],
  ): FromPart {
    const { outerJoins, facts } = this.#level;
    const sides = { left: left.sources, right: right.sources };
    outerJoins.push({ type, ...sides, on, joined: full?.joined, merged: full?.merged ?? [] });
    if (full !== undefined) facts.set(full.joined, []);
    if (type === "left") addFacts(this.#level, right.sources, [...on, ...left.always]);
    if (type === "right") addFacts(this.#level, left.sources, [...on, ...right.always]);
    const always = type === "left" ? left.always : type === "right" ? right.always : [];
    const kept = type === "left" ? left.kept : type === "right" ? right.kept : [];
    const joined = full === undefined ? [] : [full.joined];
    return { items, sources: [...left.sources, ...right.sources, ...joined], kept, always };
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

interface JoinedOuter {
  readonly type: OuterJoin["type"];
  readonly left: FromPart;
  readonly right: FromPart;
  readonly on: readonly Fact[];
  readonly full: ReturnType<typeof fullJoinSource> | undefined;
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

/** A join shows its merged columns first, then what is left of either side; an alias hides its parts. */
function joinItems(
  join: JoinExpr,
  left: FromPart,
  right: FromPart,
  merged: readonly VisibleColumn[] | undefined,
): readonly NamespaceItem[] {
  const leftColumns = visibleColumns(left.items);
  const rightColumns = visibleColumns(right.items);
  const names = new Set((merged ?? []).map(({ name }) => name));
  const rest = [...leftColumns.columns, ...rightColumns.columns].filter(
    ({ name }) => !names.has(name),
  );
  const kept = merged ?? [];
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
