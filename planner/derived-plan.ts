/**
 * The plan of a text from the plan of another one that differs in literals alone: the same plan, with
 * another key, and with every place of the text moved by as much as the literals before it have grown.
 *
 * It proves nothing: literal-templates.ts compares what it gives with what the planner makes.
 */
import { isIntegerType, type KeyType } from "../shardmap/shard-key.ts";
import type { InsertPiece, InsertPlan } from "./insert/insert-plan.ts";
import { WHOLE_NUMBER, woven, type ShapedText } from "./literal-shape.ts";
import type { KeyTerm, KeyTuple, QueryPlan } from "./logical-plan.ts";
import { AS_THEY_COME } from "./several.ts";
import type { SqlTemplate } from "./sql-template.ts";

/** Plans of statements that one key sends to one placement. */
export type KeyedPlan = QueryPlan | InsertPlan;

/** Where a template's key is none of its literals. */
export const NO_KEY = -1;

/** What a text has taught. */
export interface Taught extends ShapedText {
  /** Which literal is the shard key's value; NO_KEY where a parameter is. */
  readonly keyIndex: number;
}

/** The statement's text, and what is to be put into it. */
export function textOf(plan: KeyedPlan): SqlTemplate {
  return plan.kind === "query" ? plan.template : plan.template.statement;
}

/** Types whose values a string says by its characters alone. */
const STRING_KEYS: ReadonlySet<KeyType> = new Set(["text", "varchar", "uuid"]);

/** The one term that pins the plan, and how the text may write it; undefined where there is no such term. */
export function keyOf(plan: KeyedPlan): KeyTerm | undefined {
  const [keyType, ...otherTypes] = keyTypes(plan);
  const [tuple, ...otherTuples] = keysOf(plan) ?? [];
  const [term] = tuple ?? [];
  if (keyType === undefined || otherTypes.length > 0 || otherTuples.length > 0) return undefined;
  switch (term?.kind) {
    case "parameter":
      return term;
    case "text":
      return STRING_KEYS.has(keyType) ? term : undefined;
    case "number":
      return isIntegerType(keyType) && WHOLE_NUMBER.test(term.text) ? term : undefined;
    default:
      return undefined;
  }
}

function keyTypes(plan: KeyedPlan): readonly KeyType[] {
  if (plan.kind === "query")
    return plan.routing.kind === "shardKeys" ? plan.routing.colocation.keyTypes : [];
  return plan.table.kind === "sharded" ? plan.table.colocation.keyTypes : [];
}

function keysOf(plan: KeyedPlan): readonly KeyTuple[] | undefined {
  if (plan.kind === "insert") return plan.rows.map(({ key }) => key);
  const { routing } = plan;
  return routing.kind === "shardKeys" && routing.alsoPinned.length === 0 ? routing.keys : undefined;
}

/** What a literal is as the value of a key. */
export function keyTerm(literal: string): KeyTerm {
  return literal.startsWith("'")
    ? { kind: "text", text: literal.slice(1, -1) }
    : { kind: "number", text: literal };
}

/** Undefined where what is put into the text meets a literal. */
export function derivedPlan(
  plan: KeyedPlan,
  taught: Taught,
  literals: readonly string[],
): KeyedPlan | undefined {
  const text = new ChangedText(textOf(plan), taught, literals);
  const template = text.template();
  if (template === undefined) return undefined;
  const key = literals[taught.keyIndex];
  const keys = key === undefined ? undefined : [[keyTerm(key)]];
  if (plan.kind === "query") {
    const { routing } = plan;
    if (routing.kind !== "shardKeys") return undefined;
    return ofOnePlacement({ ...plan, template, routing: keys ? { ...routing, keys } : routing });
  }
  const { rowsStart, rowsEnd } = plan.template;
  const moved = { rowsStart: text.moved(rowsStart), rowsEnd: text.moved(rowsEnd) };
  return {
    ...plan,
    rows: plan.rows.map((row) => ({
      key: keys?.[0] ?? row.key,
      pieces: row.pieces.map((piece) => text.piece(piece)),
    })),
    template: { statement: template, ...moved },
  };
}

/** Without what is there for several placements alone. */
export function ofOnePlacement(plan: KeyedPlan): KeyedPlan {
  if (plan.kind === "insert") return plan;
  return { ...plan, template: { ...plan.template, arm: undefined }, several: AS_THEY_COME };
}

/** A literal of the text that taught, and by how much what follows it has moved. */
interface Move {
  readonly start: number;
  readonly end: number;
  readonly by: number;
}

class ChangedText {
  readonly #own: SqlTemplate;
  readonly #moves: readonly Move[];
  readonly #sql: string;

  constructor(
    own: SqlTemplate,
    { shape: { pieces }, literals: ownLiterals }: Taught,
    literals: readonly string[],
  ) {
    this.#own = own;
    let [at, by] = [pieces[0]?.length ?? 0, 0];
    this.#moves = literals.map((literal, index): Move => {
      const start = at;
      const end = start + (ownLiterals[index]?.length ?? 0);
      by += literal.length - (end - start);
      at = end + (pieces[index + 1]?.length ?? 0);
      return { start, end, by };
    });
    const whole = woven(pieces, literals);
    // What follows the statement in the text is no part of it.
    this.#sql = whole.slice(0, whole.length - (at - own.sql.length));
  }

  /** Undefined where an edit meets a literal. */
  template(): SqlTemplate | undefined {
    const { edits } = this.#own;
    const isMet = edits.some((edit) =>
      this.#moves.some(({ start, end }) => edit.start < end && edit.end > start),
    );
    if (isMet) return undefined;
    return {
      ...this.#own,
      sql: this.#sql,
      edits: edits.map((edit) => ({
        ...edit,
        start: this.moved(edit.start),
        end: edit.end + this.moved(edit.start) - edit.start,
      })),
    };
  }

  /** A place that is in no literal. */
  moved(position: number): number {
    return position + (this.#moves.findLast(({ end }) => end <= position)?.by ?? 0);
  }

  /** Of a row: a part of the text, or what the proxy puts between such parts. */
  piece(piece: InsertPiece): InsertPiece {
    if (piece.kind === "generated") return piece;
    const start = this.moved(piece.start);
    const end = piece.start + piece.text.length;
    const isOwn = this.#own.sql.startsWith(piece.text, piece.start);
    return isOwn
      ? { ...piece, start, text: this.#sql.slice(start, this.moved(end)) }
      : { ...piece, start };
  }
}
