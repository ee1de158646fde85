/**
 * The shape of libpg-query's trees, once: how nodes are wrapped, how to walk them within
 * a depth limit, and how to compare them. It knows nothing of what nodes mean.
 */
import type { Node } from "@pgsql/types";
import { AST_DEPTH_MAX } from "../base/limits.ts";
import { SqlError } from "../base/sql-error.ts";

/** A node in its wrapper, `{ "ColumnRef": {...} }`, taken apart. */
export interface Unwrapped {
  readonly kind: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Wrapped nodes have one key, and it starts with a capital; the fields of a node start
 * with a small letter. So a tree can be walked without a table of node types.
 */
export function unwrap(value: unknown): Unwrapped | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  let kind: string | undefined;
  for (const key in value) {
    if (kind !== undefined || !startsWithCapital(key)) return undefined;
    kind = key;
  }
  if (kind === undefined) return undefined;
  const body = (value as Record<string, unknown>)[kind];
  if (typeof body !== "object" || body === null) return undefined;
  return { kind, body: body as Record<string, unknown> };
}

/**
 * Calls `visit` with each wrapped node below `value`, outermost first; where it answers
 * false, nothing below that node is visited.
 */
export function walkNodes(value: unknown, visit: (node: Unwrapped) => boolean, depth = 0): void {
  if (typeof value !== "object" || value === null) return;
  checkDepth(depth);
  if (Array.isArray(value)) {
    for (const item of value) walkNodes(item, visit, depth + 1);
    return;
  }
  const node = unwrap(value);
  if (node !== undefined && !visit(node)) return;
  const fields = node?.body ?? (value as Readonly<Record<string, unknown>>);
  for (const name in fields) {
    const child = fields[name];
    if (typeof child === "object") walkNodes(child, visit, depth + 1);
  }
}

function startsWithCapital(name: string): boolean {
  const first = name.charCodeAt(0);
  return first >= 0x41 && first <= 0x5a;
}

export function checkDepth(depth: number): void {
  if (depth <= AST_DEPTH_MAX) return;
  throw new SqlError("statement_too_deep", "stack depth limit exceeded");
}

/** Fields that say where a node stood in the text, not what it means. */
const PLACES: ReadonlySet<string> = new Set([
  "location",
  "name_location",
  "list_start",
  "list_end",
  "rexpr_list_start",
  "rexpr_list_end",
  "stmt_location",
  "stmt_len",
]);

/**
 * Whether two trees are alike but for where they stood: equal in meaning as far as syntax
 * tells. `meant` gives what stands for a node of the right tree, where another is meant.
 */
export function sameTree(
  left: unknown,
  right: unknown,
  meant: (node: unknown) => unknown = (node) => node,
): boolean {
  const pairs: [unknown, unknown][] = [[left, right]];
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const one = pair[0];
    const other = meant(pair[1]);
    if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) {
      if (one !== other) return false;
      continue;
    }
    const fields = one as Readonly<Record<string, unknown>>;
    const otherFields = other as Readonly<Record<string, unknown>>;
    const keys = meaningfulKeys(fields);
    if (Array.isArray(one) !== Array.isArray(other)) return false;
    if (keys.length !== meaningfulKeys(otherFields).length) return false;
    for (const key of keys) {
      if (!Object.hasOwn(otherFields, key)) return false;
      pairs.push([fields[key], otherFields[key]]);
    }
  }
  return true;
}

function meaningfulKeys(fields: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(fields).filter((key) => !PLACES.has(key));
}

/** The strings of a name list: column references, function and type names, operators. */
export function nameParts(nodes: readonly Node[] | undefined): readonly string[] {
  const parts: string[] = [];
  for (const node of nodes ?? []) if ("String" in node) parts.push(node.String.sval ?? "");
  return parts;
}

/** What is cast, however often. */
export function withoutCasts(node: Node | undefined): Node | undefined {
  let inner = node;
  while (inner !== undefined && "TypeCast" in inner) inner = inner.TypeCast.arg;
  return inner;
}

/** Where an expression begins as far as the tree tells, for an error's position. */
export function locationOf(node: unknown): number | undefined {
  let found: number | undefined;
  walkNodes(node, ({ body }) => {
    const location = body["location"];
    if (typeof location === "number" && location >= 0 && (found === undefined || location < found))
      found = location;
    return true;
  });
  return found;
}
