/**
 * A statement's text with places that differ per placement: the client's own bytes, cut
 * at byte offsets of the AST and spliced. Rendering also tells how positions moved, so
 * that an error's position can be given back in the client's text.
 */
import { quoteQualified } from "../base/sql-quoting.ts";
import type { Placement } from "../shardmap/shard-map.ts";
import { clockText, type ClockValue, type Moment } from "./clock-value.ts";
import type { TextOrigin } from "./text-origin.ts";
import type { UnionArm } from "./union-arm.ts";

export interface SqlTemplate {
  readonly sql: string;
  /** In order of position, not overlapping. Offsets are UTF-16 units of `sql`. */
  readonly edits: readonly TemplateEdit[];
  /** How several placements of one database are asked by one text; undefined where each must be asked by itself. */
  readonly arm: UnionArm | undefined;
  /** What of `sql` is the client's, where not all of it is. */
  readonly origin?: TextOrigin;
}

export interface TemplateEdit {
  readonly start: number;
  readonly end: number;
  readonly with: TemplateValue;
}

export type TemplateValue =
  | { readonly kind: "text"; readonly text: string }
  /**
   * A sharded table's name, its schema included where one is written. `isFoundAsWritten`: the
   * session's search_path finds the canonical schema's table by it in every database, so a
   * placement there takes the text as it is; any other gets the name qualified.
   */
  | { readonly kind: "table"; readonly name: string; readonly isFoundAsWritten: boolean }
  /** The value of LIMIT a placement needs: count + offset. */
  | { readonly kind: "limit" }
  /** The moment, where one is given; else what stands there, which asks for it. */
  | (ClockValue & { readonly kind: "clock" });

export interface RenderedSql {
  readonly sql: string;
  /** The client's text, which error positions are given in. */
  readonly original: string;
  /** Rising by `at`, for error positions. */
  readonly shifts: readonly Shift[];
  /** Schemas of placements, which errors name, where clients know the tables in another. */
  readonly schemas: readonly ShownSchema[];
}

/** From offset `at` of the rendered text on: what is added to a position to have it in the client's. */
export interface Shift {
  readonly at: number;
  /** Undefined for text that is not the client's. */
  readonly by: number | undefined;
}

export interface ShownSchema {
  readonly own: string;
  readonly shown: string;
}

export interface RenderContext {
  readonly placement: Placement | undefined;
  /** The schema of the canonical tables. */
  readonly canonicalSchema: string;
  readonly limit: bigint | undefined;
  /** Undefined where each database may have its own. */
  readonly moment?: Moment | undefined;
}

export function renderTemplate(template: SqlTemplate, context: RenderContext): RenderedSql {
  let sql = "";
  let read = 0;
  const shifts: Shift[] = [];
  for (const edit of template.edits) {
    const text = renderValue(edit.with, context, template.sql.slice(edit.start, edit.end));
    sql += template.sql.slice(read, edit.start) + text;
    read = edit.end;
    shifts.push({ at: sql.length, by: read - sql.length });
  }
  const rest = template.sql.slice(read);
  const schemas = renamedSchema(context);
  return { sql: sql + rest, ...inOriginal(template, shifts), schemas };
}

/** Shifts into a template's text as shifts into the client's. */
export function inOriginal(
  { sql, origin }: SqlTemplate,
  shifts: readonly Shift[],
): Pick<RenderedSql, "original" | "shifts"> {
  if (origin === undefined) return { original: sql, shifts };
  return { original: origin.text, shifts: composedShifts(shifts, shiftsOf(origin)) };
}

/** Shifts into the text that another was made of. */
export function shiftsOf({ pieces }: TextOrigin): readonly Shift[] {
  return pieces.map(({ at, from, isCopied }) => ({ at, by: isCopied ? from - at : undefined }));
}

/** The shifts of a text made of one that has shifts (`before`) itself. */
export function composedShifts(
  shifts: readonly Shift[],
  before: readonly Shift[],
): readonly Shift[] {
  const outer: readonly Shift[] = [{ at: 0, by: 0 }, ...shifts];
  const inner: readonly Shift[] = [{ at: 0, by: 0 }, ...before];
  return outer.flatMap(({ at, by }, index): readonly Shift[] => {
    if (by === undefined) return [{ at, by }];
    const end = outer[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    const first = inner.findLast((piece) => piece.at <= at + by);
    const within = inner.filter(
      (piece) => piece === first || (piece.at > at + by && piece.at < end + by),
    );
    return within.map((piece) => ({
      at: Math.max(at, piece.at - by),
      by: piece.by === undefined ? undefined : by + piece.by,
    }));
  });
}

function renamedSchema({ placement, canonicalSchema }: RenderContext): readonly ShownSchema[] {
  if (placement === undefined || placement.schema === canonicalSchema) return [];
  return [{ own: placement.schema, shown: canonicalSchema }];
}

function renderValue(value: TemplateValue, context: RenderContext, original: string): string {
  switch (value.kind) {
    case "text":
      return value.text;
    case "table":
      return renderTable(value.name, value.isFoundAsWritten, context, original);
    case "limit":
      return context.limit === undefined ? original : String(context.limit);
    case "clock":
      return context.moment === undefined ? original : clockText(value, context.moment);
  }
}

function renderTable(
  name: string,
  isFoundAsWritten: boolean,
  context: RenderContext,
  original: string,
): string {
  const schema = context.placement?.schema ?? context.canonicalSchema;
  if (isFoundAsWritten && schema === context.canonicalSchema) return original;
  return quoteQualified(schema, name);
}

/**
 * The shifts of a text that stands at `offset` of a larger one, and whose own original begins
 * at `originalOffset` of the larger one's.
 */
export function movedShifts(
  shifts: readonly Shift[],
  offset: number,
  originalOffset: number,
): readonly Shift[] {
  return shifts.map(({ at, by }) => ({
    at: at + offset,
    by: by === undefined ? undefined : by + originalOffset - offset,
  }));
}

/** The text behind another, which stands at the beginning of the client's. */
export function renderedBehind(
  prefix: string,
  { sql, shifts, ...rendered }: RenderedSql,
): RenderedSql {
  const before: readonly Shift[] = [
    { at: 0, by: 0 },
    { at: prefix.length, by: undefined },
  ];
  const moved = movedShifts(shifts, prefix.length, 0);
  return { ...rendered, sql: prefix + sql, shifts: [...before, ...moved] };
}

/** A text that is the same for every placement. */
export function plainSql(sql: string): RenderedSql {
  return { sql, original: sql, shifts: [], schemas: [] };
}

/** Where a UTF-16 position (one-based) of the rendered text was in the client's; undefined where that has no such place. */
export function originalPosition(rendered: RenderedSql, position: number): number | undefined {
  const shift = rendered.shifts.findLast(({ at }) => at <= position - 1);
  if (shift === undefined) return position;
  return shift.by === undefined ? undefined : Math.max(1, position + shift.by);
}
