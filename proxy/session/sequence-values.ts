/**
 * What currval() and lastval() give to this session, and pg_backend_pid(). Values of global sequences are drawn by
 * the proxy, so it knows them; what a server has drawn by itself for a statement it does not.
 */
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { GeneratedColumn } from "../../planner/generated-column.ts";
import type { SequenceCall } from "../../planner/session-values.ts";
import { sequenceKey } from "../../planner/session-values.ts";
import type { PlanContext } from "../../planner/plan-context.ts";
import { qualified } from "../execution/global-sequences.ts";
import type { SequenceName } from "../execution/global-sequences.ts";

export class SequenceValues {
  readonly #values = new Map<string, string>();
  #last: string | undefined;
  /** A server may have drawn from any sequence since. */
  #isUnknown = false;
  /** Of BackendKeyData: the process that the client believes to talk with. */
  readonly #processId: number;

  constructor(processId: number) {
    this.#processId = processId;
  }

  /** Nothing was drawn that anybody knows of. */
  get areNone(): boolean {
    return this.#values.size === 0 && !this.#isUnknown;
  }

  drawn(name: SequenceName, value: string): void {
    const key = qualified(name);
    this.#values.set(key, value);
    this.#last = key;
  }

  /** As nextval() in each row, one column after the other. */
  drawnRows(generated: readonly GeneratedColumn[], rows: readonly (readonly string[])[]): void {
    const last = rows.at(-1);
    for (const [index, { source }] of generated.entries()) {
      const value = last?.[index];
      if (source.kind === "sequence" && value !== undefined) this.drawn(source, value);
    }
  }

  /** A statement may have drawn values that nobody here has seen. */
  forget(): void {
    this.clear();
    this.#isUnknown = true;
  }

  /** DISCARD SEQUENCES. */
  clear(): void {
    this.#values.clear();
    this.#last = undefined;
    this.#isUnknown = false;
  }

  /** The SELECT that gives what the calls give, or PostgreSQL's error where nothing was drawn yet. */
  select(
    calls: readonly SequenceCall[],
    context: PlanContext,
  ):
    | { readonly kind: "known"; readonly sql: string }
    | { readonly kind: "failed"; readonly error: SqlError } {
    const columns: string[] = [];
    for (const call of calls) {
      // Its column owns no sequence.
      if (call.serial !== undefined && call.sequence === "") {
        columns.push(`NULL::pg_catalog.int8 AS ${quoteIdentifier(call.column)}`);
        continue;
      }
      const value = this.#valueOf(call, context);
      if (value instanceof SqlError) return { kind: "failed", error: value };
      // A negative number is no operand of "::" without quotes.
      const type = call.function === "pg_backend_pid" ? "int4" : "int8";
      const known = `'${value}'::pg_catalog.${type}`;
      // The parameter stays: its Bind follows.
      const asked =
        call.parameter === undefined
          ? known
          : `CASE WHEN $${call.parameter}::pg_catalog.regclass IS NOT NULL THEN ${known} END`;
      columns.push(`${asked} AS ${quoteIdentifier(call.column)}`);
    }
    return { kind: "known", sql: `SELECT ${columns.join(", ")}` };
  }

  #valueOf({ function: name, sequence }: SequenceCall, context: PlanContext): string | SqlError {
    if (name === "pg_backend_pid") return String(this.#processId);
    const found = name === "lastval" ? undefined : sequenceKey(sequence, context);
    const key =
      name === "lastval" ? this.#last : found === undefined ? undefined : qualified(found);
    const value = key === undefined ? undefined : this.#values.get(key);
    if (value !== undefined) return value;
    if (this.#isUnknown) {
      return new SqlError(
        "sequence_value_unknown",
        `${name} is not known: a database has drawn values by itself`,
      );
    }
    return new SqlError(
      "sequence_value_undefined",
      name === "lastval"
        ? "lastval is not yet defined in this session"
        : `currval of sequence "${found?.sequence ?? sequence}" is not yet defined in this session`,
    );
  }
}
