/**
 * What a statement is made of, read from its tree: the generator's claims about itself are
 * not asked, so that the printed distribution tells what was really sent.
 */
import { unwrap, walkNodes } from "../../planner/ast.ts";
import type { Unwrapped } from "../../planner/ast.ts";
import { parseSql } from "../../planner/parse.ts";
import { TABLES } from "./tables.ts";
import { VIEWS } from "./views.ts";
import type { Statement } from "./statement.ts";

export interface Traits {
  readonly features: ReadonlySet<string>;
  /** Colocations, the group, and the unlisted tables' place; `reference` is not among them. */
  readonly homes: ReadonlySet<string>;
  /** It names tables of the model and nothing else, and reads or writes rows. */
  readonly isQuery: boolean;
}

const HOMES = new Map(
  [...TABLES, ...VIEWS].map(({ name, home }): [string, string] => [name, home]),
);
const ROWS: ReadonlySet<string> = new Set([
  "SelectStmt",
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
]);

type Body = Readonly<Record<string, unknown>>;

export function traitsOf({ sql, parameters }: Statement): Traits {
  const features = new Set<string>();
  const homes = new Set<string>();
  const parsed = parseSql(sql);
  if (parsed.kind !== "statements")
    return { features: new Set(["no tree"]), homes, isQuery: false };
  let isKnown = true;
  const names = new Set<string>();
  const trees = parsed.statements.map(({ node }) => node);
  walkNodes(trees, ({ kind, body }) => {
    if (kind === "CommonTableExpr") names.add(String(body["ctename"]));
    return true;
  });
  walkNodes(trees, (node) => {
    const { kind, body } = node;
    for (const feature of featuresOf(node)) features.add(feature);
    const relation =
      kind === "RangeVar" ? body : ((body["relation"] as Body | undefined) ?? undefined);
    const name = relation?.["relname"];
    if (typeof name !== "string" || names.has(name)) return true;
    const home = HOMES.get(name);
    if (home === undefined) isKnown = false;
    else if (home !== "reference") homes.add(home);
    if (VIEWS.some((view) => view.name === name)) features.add("view");
    return true;
  });
  for (const tree of trees) {
    features.add(`sub-selects ${depthOf(tree)} deep`);
    features.add(`${Math.min(mostJoined(tree), 4)} tables joined`);
  }
  if (parameters.some(({ format }) => format === 0)) features.add("parameter in text");
  if (parameters.some(({ format }) => format === 1)) features.add("parameter in binary");
  const isQuery = trees.every((tree) => ROWS.has(unwrap(tree)?.kind ?? "")) && isKnown;
  return { features, homes, isQuery };
}

/**
 * Whether it is the plan's choice on which rows an expression is tried: of several tables (or one in
 * several places) those that the join has not left out yet, of several conditions those that the first has let
 * pass, of a LIMIT those that were needed.
 */
export function leavesEvaluationOpen({ sql }: Statement): boolean {
  const parsed = parseSql(sql);
  if (parsed.kind !== "statements") return false;
  return parsed.statements.some(({ node }) => {
    let relations = 0;
    let hasChoice = false;
    walkNodes([node], ({ kind, body }) => {
      if (kind === "RangeVar" || body["relation"] !== undefined) relations += 1;
      if (kind === "BoolExpr" || body["limitCount"] !== undefined) hasChoice = true;
      return true;
    });
    return hasChoice || relations > 1;
  });
}

function featuresOf({ kind, body }: Unwrapped): string[] {
  switch (kind) {
    case "SelectStmt":
      return selectFeatures(body);
    case "SubLink":
      return [SUB_LINKS[String(body["subLinkType"])] ?? "other sub-select"];
    case "RangeSubselect":
      return [body["lateral"] === true ? "sub-select LATERAL" : "sub-select in FROM"];
    case "JoinExpr":
      return joinFeatures(body);
    case "FuncCall":
      return callFeatures(body);
    case "GroupingSet":
      return [GROUPING_SETS[String(body["kind"])] ?? "grouping set"];
    case "RowExpr":
      return ["row comparison"];
    case "CommonTableExpr":
      return ["WITH"];
    case "InsertStmt":
      return insertFeatures(body);
    case "UpdateStmt":
      return "fromClause" in body ? ["UPDATE FROM"] : ["UPDATE"];
    case "DeleteStmt":
      return "usingClause" in body ? ["DELETE USING"] : ["DELETE"];
    case "MergeStmt":
      return ["MERGE"];
    default:
      return [];
  }
}

const SUB_LINKS: Readonly<Record<string, string>> = {
  EXISTS_SUBLINK: "sub-select EXISTS",
  ALL_SUBLINK: "sub-select ALL",
  ANY_SUBLINK: "sub-select IN or ANY",
  EXPR_SUBLINK: "sub-select scalar",
  ARRAY_SUBLINK: "sub-select ARRAY",
};

const GROUPING_SETS: Readonly<Record<string, string>> = {
  GROUPING_SET_ROLLUP: "ROLLUP",
  GROUPING_SET_CUBE: "CUBE",
  GROUPING_SET_SETS: "GROUPING SETS",
};

function selectFeatures(body: Body): string[] {
  const found: string[] = [];
  const operation = /^SETOP_(UNION|INTERSECT|EXCEPT)$/.exec(String(body["op"]))?.[1];
  if (operation !== undefined) found.push(body["all"] === true ? `${operation} ALL` : operation);
  const distinct = body["distinctClause"] as readonly unknown[] | undefined;
  if (distinct !== undefined)
    found.push(distinct.some((each) => unwrap(each) !== undefined) ? "DISTINCT ON" : "DISTINCT");
  if ("groupClause" in body) found.push("GROUP BY");
  if ("havingClause" in body) found.push("HAVING");
  if ("sortClause" in body) found.push("ORDER BY");
  if ("limitCount" in body) found.push("LIMIT");
  if (body["limitOption"] === "LIMIT_OPTION_WITH_TIES") found.push("WITH TIES");
  if ("lockingClause" in body) found.push("row locks");
  if ((body["withClause"] as Body | undefined)?.["recursive"] === true)
    found.push("WITH RECURSIVE");
  if (hasWrappedAggregate(body["targetList"])) found.push("expression over aggregates");
  // The arms of a set operation stand in it without a wrapper.
  for (const arm of [body["larg"], body["rarg"]])
    if (arm !== undefined) found.push(...selectFeatures(arm as Body));
  return found;
}

function joinFeatures(body: Body): string[] {
  const found = [JOINS[String(body["jointype"])] ?? "other join"];
  if (body["isNatural"] === true) found.push("NATURAL join");
  if ("usingClause" in body) found.push("join USING");
  return found;
}

const JOINS: Readonly<Record<string, string>> = {
  JOIN_INNER: "inner join",
  JOIN_LEFT: "LEFT JOIN",
  JOIN_RIGHT: "RIGHT JOIN",
  JOIN_FULL: "FULL JOIN",
};

/** FRAMEOPTION_NONDEFAULT of PostgreSQL's parsenodes.h. */
const FRAME_NONDEFAULT = 1;
const COLLECTING = /^(?:array_agg|string_agg|jsonb?_agg|jsonb?_object_agg)$/;
const STATISTICAL = /^(?:stddev|variance|var_)/;
const AGGREGATES =
  /^(?:count|sum|avg|min|max|bool_and|bool_or|every|bit_and|bit_or|bit_xor|array_agg|string_agg|jsonb?_agg|jsonb?_object_agg|stddev\w*|variance|var_\w+|percentile_\w+|mode)$/;
const HYPOTHETICAL = /^(?:rank|dense_rank|percent_rank|cume_dist)$/;

function functionName(body: Body): string {
  const last = unwrap((body["funcname"] as readonly unknown[] | undefined)?.at(-1));
  const name = last?.body["sval"];
  return typeof name === "string" ? name : "";
}

function callFeatures(body: Body): string[] {
  const name = functionName(body);
  const found: string[] = [];
  const over = body["over"] as Body | undefined;
  if (over !== undefined) {
    found.push("window");
    const options = Number(over["frameOptions"] ?? 0);
    if ((options & FRAME_NONDEFAULT) !== 0) found.push("window frame");
  }
  if (body["agg_distinct"] === true)
    found.push(name === "count" ? "count(DISTINCT)" : "aggregate DISTINCT");
  if ("agg_filter" in body) found.push("aggregate FILTER");
  if (body["agg_within_group"] === true)
    found.push(HYPOTHETICAL.test(name) ? "hypothetical-set aggregate" : "ordered-set aggregate");
  else if ("agg_order" in body && COLLECTING.test(name)) found.push(`${name} ORDER BY`);
  if (STATISTICAL.test(name)) found.push("stddev or variance");
  if (over === undefined && AGGREGATES.test(name)) found.push("aggregate");
  return found;
}

/** An output that is more than the aggregate's call itself. */
function hasWrappedAggregate(targets: unknown): boolean {
  if (!Array.isArray(targets)) return false;
  return targets.some((target) => {
    const value = (unwrap(target)?.body ?? {})["val"];
    const whole = unwrap(value);
    if (
      whole === undefined ||
      (whole.kind === "FuncCall" && AGGREGATES.test(functionName(whole.body)))
    )
      return false;
    let found = false;
    walkNodes(value, ({ kind, body }) => {
      if (kind === "SubLink") return false;
      if (kind === "FuncCall" && !("over" in body) && AGGREGATES.test(functionName(body)))
        found = true;
      return true;
    });
    return found;
  });
}

function insertFeatures(body: Body): string[] {
  const found: string[] = [];
  const source = unwrap(body["selectStmt"])?.body;
  if (source !== undefined && !("valuesLists" in source)) found.push("INSERT SELECT");
  else found.push("INSERT VALUES");
  const conflict = body["onConflictClause"] as Body | undefined;
  if (conflict === undefined) return found;
  const action = conflict["action"] === "ONCONFLICT_UPDATE" ? "DO UPDATE" : "DO NOTHING";
  const infer = conflict["infer"] as Body | undefined;
  found.push(`ON CONFLICT ${action}`);
  if (infer?.["conname"] !== undefined) found.push("ON CONFLICT ON CONSTRAINT");
  return found;
}

const SUB_SELECT_HOLDERS: ReadonlySet<string> = new Set([
  "SubLink",
  "RangeSubselect",
  "CommonTableExpr",
]);
/** All that is deeper counts as this. */
const DEPTH_SHOWN = 3;

/** How many sub-selects stand within each other. */
function depthOf(tree: unknown): number {
  let deepest = 0;
  const descend = (value: unknown, depth: number): void => {
    deepest = Math.max(deepest, depth);
    walkNodes(value, ({ kind, body }) => {
      if (!SUB_SELECT_HOLDERS.has(kind)) return true;
      descend(Object.values(body), depth + 1);
      return false;
    });
  };
  descend(tree, 0);
  return Math.min(deepest, DEPTH_SHOWN);
}

/** Relations of the level's FROM that joins most of them. */
function mostJoined(tree: unknown): number {
  let most = 0;
  walkNodes(tree, ({ kind, body }) => {
    if (kind === "SelectStmt") most = Math.max(most, relationsOf(body["fromClause"]));
    return true;
  });
  return most;
}

function relationsOf(from: unknown): number {
  let count = 0;
  walkNodes(from, ({ kind }) => {
    if (kind === "RangeVar" || kind === "RangeSubselect" || kind === "RangeFunction") count += 1;
    return kind === "JoinExpr";
  });
  return count;
}
