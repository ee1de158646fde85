/**
 * Gives a statement the table names of a placement, by splicing the client's own text at
 * the locations of its tree: nothing but the names changes, comments included.
 *
 * A table keeps its name in every placement and only its schema differs, so the implicit
 * alias stays what it was and `orders.id` stays valid. `public.orders.id` does not, and is
 * edited like a table. The result is compared with the statement before it is trusted: by its tokens
 * or, parsed again, with the tree renamed in place. What a name means is the caller's to say.
 */
import type { ColumnRef, Node, RangeVar } from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import { isRenamedAlone, type ExchangedName } from "./renamed-tokens.ts";
import { renderTemplate, type SqlTemplate, type TemplateEdit } from "./sql-template.ts";
import { sameTree } from "./ast.ts";
import { quoteQualified } from "../base/sql-quoting.ts";
import type { UnionArm } from "./union-arm.ts";

/** What a table name of a statement stands for. */
export type TableTarget =
  /** The text finds the right table wherever the statement runs: a system catalog, a reference table, a table of the catalog database. */
  | { readonly kind: "asWritten" }
  /** A sharded table: the placement's schema, which is filled in when the plan is bound. */
  | { readonly kind: "placed"; readonly name: string }
  /** A table of one known schema, whatever the search_path. */
  | { readonly kind: "fixed"; readonly schema: string; readonly name: string };

/** Asked for every table name that is not a WITH query's; `ref` may also be the table part of `schema.table.column`. */
export type ResolveTable = (ref: RangeVar) => TableTarget;

export interface RewriteContext {
  readonly map: ShardMap;
  readonly searchPath: readonly string[];
}

/** The statement with every table name made ready for any placement. */
export function tableTemplate(
  statement: ParsedStatement,
  resolve: ResolveTable,
  context: RewriteContext,
): SqlTemplate {
  const renames = tableRenames(statement, resolve);
  const template = templateOf(statement.text, tableEdits(renames, context));
  if (template.edits.length > 0) verifyRenaming(statement, renames, context);
  return template;
}

/** Puts edits in order and drops repeated ones; overlapping edits are a mistake of the planner. */
export function templateOf(
  sql: string,
  edits: readonly TemplateEdit[],
  arm?: UnionArm,
): SqlTemplate {
  const sorted = edits.toSorted((a, b) => a.start - b.start || a.end - b.end);
  const distinct = sorted.filter((edit, index) => {
    const before = sorted[index - 1];
    return (
      before === undefined ||
      before.start !== edit.start ||
      before.end !== edit.end ||
      edit.start === edit.end
    );
  });
  for (const [index, edit] of distinct.entries()) {
    invariant(edit.start >= (distinct[index - 1]?.end ?? 0), "edits of a statement do not overlap");
  }
  return { sql, edits: distinct, arm };
}

export interface TableRename {
  readonly tree: RangeVar | ColumnRef;
  readonly target: Exclude<TableTarget, { kind: "asWritten" }>;
  /** The schema the client wrote, if any. */
  readonly writtenSchema: string | undefined;
  /** Offsets in the statement's text of the whole name, schema included, column excluded. */
  readonly start: number;
  readonly end: number;
}

/** Every place of the statement that names a table which may need another schema. */
export function tableRenames(
  statement: ParsedStatement,
  resolve: ResolveTable,
): readonly TableRename[] {
  const { references } = statement;
  const renames: TableRename[] = [];
  for (const tree of references.tables) {
    const target = resolve(tree);
    if (target.kind === "asWritten") continue;
    const parts =
      1 + Number(tree.schemaname !== undefined) + Number(tree.catalogname !== undefined);
    renames.push({
      tree,
      target,
      writtenSchema: tree.schemaname,
      ...nameExtent(statement, tree.location, parts),
    });
  }
  for (const tree of references.schemaQualifiedColumns) {
    const names = (tree.fields ?? []).map((field) =>
      "String" in field ? field.String.sval : undefined,
    );
    // With four names the first is the database's; PostgreSQL itself compares it with the current one.
    const [schema, table] = names.slice(-3);
    if (schema === undefined || table === undefined) continue;
    const target = resolve({
      schemaname: schema,
      relname: table,
      ...(tree.location === undefined ? {} : { location: tree.location }),
    });
    if (target.kind === "asWritten") continue;
    renames.push({
      tree,
      target,
      writtenSchema: schema,
      ...nameExtent(statement, tree.location, names.length - 1),
    });
  }
  return renames;
}

export function tableEdits(
  renames: readonly TableRename[],
  context: RewriteContext,
): readonly TemplateEdit[] {
  return renames.map(({ target, writtenSchema, start, end }) => {
    if (target.kind === "fixed") {
      return {
        start,
        end,
        with: { kind: "text", text: quoteQualified(target.schema, target.name) },
      };
    }
    const isFoundAsWritten =
      writtenSchema === undefined
        ? findsCanonicalFirst(context)
        : writtenSchema === context.map.canonicalSchema;
    return { start, end, with: { kind: "table", name: target.name, isFoundAsWritten } };
  });
}

/**
 * Whether an unqualified name that means the canonical table in the catalog database means
 * the canonical schema's table in every other database too. The schemas of databases are
 * alike but for those of placements and groups, where a table of this name may stand.
 */
function findsCanonicalFirst({ map, searchPath }: RewriteContext): boolean {
  const own = new Set<string>();
  for (const colocation of map.colocations.values())
    for (const { schema } of colocation.placements) own.add(schema);
  for (const group of map.groups.values()) own.add(group.schema);
  const before = searchPath.slice(0, Math.max(0, searchPath.indexOf(map.canonicalSchema)));
  return searchPath.includes(map.canonicalSchema) && !before.some((schema) => own.has(schema));
}

/** The extent of `parts` names joined by dots, from a location of the tree. */
export function nameExtent(
  statement: ParsedStatement,
  location: number | undefined,
  parts: number,
): { readonly start: number; readonly end: number } {
  const start = statement.offsetOf(location);
  let index = statement.tokenIndexAt(start);
  invariant(statement.tokens[index]?.start === start, "a name in the tree begins at a token");
  for (let part = 1; part < parts; part++) index = afterIdentifier(statement, index) + 1;
  const last = statement.tokens[afterIdentifier(statement, index) - 1];
  invariant(last !== undefined, "a name in the tree ends within the statement");
  return { start, end: last.end };
}

/** The index after an identifier's tokens: one, or three for `U&"d!0061t" UESCAPE '!'`. */
export function afterIdentifier(statement: ParsedStatement, index: number): number {
  const token = statement.tokens[index];
  const following = statement.tokens[index + 1];
  if (
    token === undefined ||
    following === undefined ||
    token.kind !== "quoted" ||
    following.kind !== "word"
  )
    return index + 1;
  const isEscaped = /^u&/i.test(statement.text.slice(token.start, token.start + 2));
  const word = statement.text.slice(following.start, following.end).toLowerCase();
  return isEscaped && word === "uescape" ? index + 3 : index + 1;
}

/** A schema's name that no database has, with all that quoting must get right. */
const PROBE_SCHEMA = 'probe "schema"';

/**
 * Renders with a probe in place of a placement's schema, and compares with the statement: by tokens,
 * and where they do not tell, by the tree that the grammar makes of it.
 */
function verifyRenaming(
  statement: ParsedStatement,
  renames: readonly TableRename[],
  context: RewriteContext,
): void {
  const edits = tableEdits(renames, context);
  const sql = renderTemplate(templateOf(statement.text, edits), {
    placement: { id: "probe", database: context.map.catalog, schema: PROBE_SCHEMA, shards: [] },
    canonicalSchema: context.map.canonicalSchema,
    limit: undefined,
  }).sql;
  const names = exchangedNames(renames);
  if (isRenamedAlone(statement.text, sql, names)) return;
  verifyRenamed(sql, statement.textNode, new Map(names.map(({ tree, schema }) => [tree, schema])));
}

function exchangedNames(renames: readonly TableRename[]): readonly ExchangedName[] {
  return renames
    .map(({ tree, target, start, end }) => ({
      tree,
      start,
      end,
      schema: target.kind === "fixed" ? target.schema : PROBE_SCHEMA,
    }))
    .toSorted((left, right) => left.start - right.start);
}

/** That `sql` is one statement, and `node` but for the schemas of the trees in `schemas`. */
export function verifyRenamed(
  sql: string,
  node: Node,
  schemas: ReadonlyMap<unknown, string>,
): void {
  const outcome = parseSql(sql);
  const [rewritten, ...others] = outcome.kind === "statements" ? outcome.statements : [];
  invariant(
    rewritten !== undefined && others.length === 0,
    "a rewritten statement is one statement",
  );
  invariant(
    sameTree(rewritten.node, node, (tree) => {
      const schema = schemas.get(tree);
      return schema === undefined ? tree : withSchema(tree as RangeVar | ColumnRef, schema);
    }),
    "a rewritten statement differs from the client's in its tables' schemas alone",
  );
}

function withSchema(tree: RangeVar | ColumnRef, schema: string): object {
  if ("fields" in tree && tree.fields !== undefined) {
    return { ...tree, fields: [{ String: { sval: schema } }, ...tree.fields.slice(-2)] };
  }
  const { catalogname: _, ...table } = tree as RangeVar;
  return { ...table, schemaname: schema };
}
