/**
 * The statements of all sources, by shape: how often each ran, how long that took, and
 * which of them ran in one transaction. It knows nothing of maps.
 */
import { hash } from "node:crypto";
import {
  ANALYZED_SESSIONS_MAX,
  ANALYZED_SHAPES_MAX,
  ANALYZED_TEXT_LENGTH_MAX,
} from "../../base/limits.ts";
import type { ParsedStatement } from "../../planner/parse.ts";
import type { Observation, Observed, Unread } from "./observation.ts";
import { parseText } from "./planned-text.ts";
import { hasSquashedList, shapeOf } from "./shape.ts";

export interface WorkloadStatement {
  /** The first of its shape that was met. */
  readonly parsed: ParsedStatement;
  /** pg_stat_statements has shortened a list of it, so that it has more keys than its text. */
  readonly isSquashed: boolean;
  readonly place: string;
  calls: number;
  timeMs: number;
}

/** Statements that ran in one transaction, and how many transactions there were of these. */
export interface Together {
  readonly statements: readonly WorkloadStatement[];
  transactions: number;
}

/** Why texts could not be planned, with the first of each reason. */
export interface UnreadCount extends Unread {
  calls: number;
}

/** What opens and ends a transaction is told by the text alone. */
type TransactionStep = "begin" | "end" | undefined;

interface Shape {
  readonly statements: readonly WorkloadStatement[];
  readonly steps: readonly TransactionStep[];
}

interface OpenTransaction {
  /** Undefined where BEGIN opened it and the source has no ids. */
  readonly id: string | undefined;
  readonly statements: Set<WorkloadStatement>;
}

export class Workload {
  /** By a hash of the shape. */
  readonly #shapes = new Map<string, Shape | Unread>();
  readonly #unread = new Map<string, UnreadCount>();
  readonly #open = new Map<string, OpenTransaction>();
  readonly #together = new Map<string, Together>();
  readonly #numbers = new Map<WorkloadStatement, number>();
  #textLength = 0;
  #knowsTime = false;
  #knowsTransactions = false;

  add(observed: Observed): void {
    if (observed.kind === "unread") return this.#countUnread(observed.unread, 1);
    const { statement } = observed;
    const shape = this.#shapeOf(statement);
    if ("reason" in shape) {
      const { place } = statement;
      // Counted once: its parsing and binding are logged beside it.
      if (statement.calls > 0) this.#countUnread({ ...shape, place }, statement.calls);
      return;
    }
    if (statement.timeMs !== undefined) this.#knowsTime = true;
    for (const [index, one] of shape.statements.entries()) {
      one.calls += statement.calls;
      one.timeMs += (statement.timeMs ?? 0) / shape.statements.length;
      if (statement.calls > 0) this.#follow(statement, one, shape.steps[index]);
    }
  }

  /** In the order in which they were first met. */
  get statements(): readonly WorkloadStatement[] {
    return [...this.#numbers.keys()];
  }

  get unread(): readonly UnreadCount[] {
    return [...this.#unread.values()];
  }

  /** Transactions of two statements or more. */
  get together(): readonly Together[] {
    for (const session of this.#open.keys()) this.#close(session);
    return [...this.#together.values()];
  }

  get knowsTime(): boolean {
    return this.#knowsTime;
  }

  get knowsTransactions(): boolean {
    return this.#knowsTransactions;
  }

  #shapeOf({ sql, place }: Observation): Shape | Unread {
    const key = hash("sha256", shapeOf(sql), "base64");
    const known = this.#shapes.get(key);
    if (known !== undefined) return known;
    this.#textLength += sql.length;
    if (this.#shapes.size >= ANALYZED_SHAPES_MAX || this.#textLength > ANALYZED_TEXT_LENGTH_MAX) {
      return { reason: "more different statements than can be kept", place };
    }
    const parsed = parseText(sql);
    const shape =
      parsed.kind === "unread"
        ? { reason: parsed.reason, place }
        : this.#newShape(sql, place, parsed);
    this.#shapes.set(key, shape);
    return shape;
  }

  #newShape(
    sql: string,
    place: string,
    parsed: { readonly statements: readonly ParsedStatement[] },
  ): Shape {
    const isSquashed = hasSquashedList(sql);
    const statements = parsed.statements.map((statement): WorkloadStatement => ({
      parsed: statement,
      isSquashed,
      place,
      calls: 0,
      timeMs: 0,
    }));
    for (const statement of statements) this.#numbers.set(statement, this.#numbers.size);
    return { statements, steps: statements.map(stepOf) };
  }

  #countUnread({ reason, place }: Unread, calls: number): void {
    const counted = this.#unread.get(reason);
    if (counted === undefined) this.#unread.set(reason, { reason, place, calls });
    else counted.calls += calls;
  }

  #follow(
    { session, transaction }: Observation,
    statement: WorkloadStatement,
    step: TransactionStep,
  ): void {
    if (session === undefined) return;
    const open = this.#open.get(session);
    // Another id, or none where there was one: the transaction before has ended unseen.
    if (open?.id !== undefined && open.id !== transaction) this.#close(session);
    if (step === "begin" || transaction !== undefined) this.#begin(session, transaction);
    if (step === undefined) this.#open.get(session)?.statements.add(statement);
    if (step === "end") this.#close(session);
  }

  #begin(session: string, id: string | undefined): void {
    this.#knowsTransactions = true;
    if (this.#open.has(session)) return;
    this.#open.set(session, { id, statements: new Set() });
    const [oldest] = this.#open.keys();
    if (this.#open.size > ANALYZED_SESSIONS_MAX && oldest !== undefined) this.#close(oldest);
  }

  #close(session: string): void {
    const open = this.#open.get(session);
    this.#open.delete(session);
    if (open === undefined || open.statements.size < 2) return;
    const statements = [...open.statements];
    const numbers = statements.map((statement) => this.#numbers.get(statement) ?? 0);
    const key = numbers.toSorted((a, b) => a - b).join(" ");
    const known = this.#together.get(key);
    if (known !== undefined) known.transactions++;
    else if (this.#together.size < ANALYZED_SHAPES_MAX) {
      this.#together.set(key, { statements, transactions: 1 });
    }
  }
}

function stepOf({ parsed: { node } }: WorkloadStatement): TransactionStep {
  if (!("TransactionStmt" in node)) return undefined;
  switch (node.TransactionStmt.kind) {
    case "TRANS_STMT_BEGIN":
    case "TRANS_STMT_START":
      return "begin";
    case "TRANS_STMT_COMMIT":
    case "TRANS_STMT_ROLLBACK":
    case "TRANS_STMT_PREPARE":
      return "end";
    default:
      return undefined;
  }
}
