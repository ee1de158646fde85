/**
 * A statement's text with places that differ per placement: the client's own bytes, cut
 * at byte offsets of the AST and spliced. Rendering also tells how positions moved, so
 * that an error's position can be given back in the client's text.
 */
import type { Placement } from "../shardmap/shard-map.ts";

export interface SqlTemplate {
  readonly sql: string;
  /** In order of position, not overlapping. Offsets are UTF-16 units of `sql`. */
  readonly edits: readonly TemplateEdit[];
}

export interface TemplateEdit {
  readonly start: number;
  readonly end: number;
  readonly with: TemplateValue;
}

export type TemplateValue =
  | { readonly kind: "text"; readonly text: string }
  /** A sharded table's name, qualified by the placement's schema where that is not what the session would find. `suffix` holds an alias where one is needed. */
  | { readonly kind: "table"; readonly name: string; readonly suffix: string }
  /** The value of LIMIT a placement needs: count + offset. */
  | { readonly kind: "limit" };

export interface RenderedSql {
  readonly sql: string;
  /** Pairs in the rendered text, for error positions. */
  readonly shifts: readonly { readonly at: number; readonly by: number }[];
}

export interface RenderContext {
  readonly placement: Placement | undefined;
  /** The schema unqualified names find first: no qualification is needed for a placement there. */
  readonly canonicalSchema: string;
  readonly limit: bigint | undefined;
}

export function renderTemplate(template: SqlTemplate, context: RenderContext): RenderedSql {
  let sql = "";
  let read = 0;
  const shifts: { at: number; by: number }[] = [];
  for (const edit of template.edits) {
    const text = renderValue(edit.with, context, template.sql.slice(edit.start, edit.end));
    sql += template.sql.slice(read, edit.start) + text;
    read = edit.end;
    shifts.push({ at: sql.length, by: read - sql.length });
  }
  return { sql: sql + template.sql.slice(read), shifts };
}

function renderValue(value: TemplateValue, context: RenderContext, original: string): string {
  switch (value.kind) {
    case "text":
      return value.text;
    case "table":
      if (context.placement === undefined || context.placement.schema === context.canonicalSchema) return original;
      return `${quoteIdentifier(context.placement.schema)}.${quoteIdentifier(value.name)}${value.suffix}`;
    case "limit":
      return context.limit === undefined ? original : String(context.limit);
  }
}

/** Where a character position (one-based) of the rendered text was in the client's text. */
export function originalPosition(rendered: RenderedSql, position: number): number {
  let by = 0;
  for (const shift of rendered.shifts) {
    if (shift.at > position - 1) break;
    by = shift.by;
  }
  return Math.max(1, position + by);
}

/** Always quoted: valid for every name and keyword of every version. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
