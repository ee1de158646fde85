/** A client's prepared statements, by the names it gave them; the empty name is the unnamed one. */
import { PREPARED_STATEMENTS_PER_CLIENT_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Description } from "../execution/describe.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { Routed } from "./direct-route.ts";

export interface PreparedStatement {
  readonly name: string;
  /** Blanks and comments alone make an empty statement. */
  readonly sql: string;
  readonly isEmpty: boolean;
  /** COMMIT, ROLLBACK or ROLLBACK TO: what a failed transaction still takes. */
  readonly endsTransaction: boolean;
  /** Other columns only before the client is told. */
  description: Description;
  /** Of a FETCH and an EXECUTE: what has its columns, whatever that is by then. */
  readonly answersAs: NamedRows | undefined;
  /** Of the catalog that the description is from, or was last found to hold in. */
  catalogEpoch: number;
  /** The client knows the columns, or may: they have to stay what they are, as in PostgreSQL. */
  isTold: boolean;
  /** Kept by direct-statements.ts; undefined before it was used there. */
  routed?: Routed | undefined;
}

/** Takes the columns that a server has, of which the client is told instead. */
export function otherColumns(
  statement: PreparedStatement,
): (columns: readonly ColumnDescription[]) => void {
  return (columns) => {
    const inText = columns.map((column) => ({ ...column, format: "text" as const }));
    statement.description = { ...statement.description, columns: inText };
  };
}

export interface NamedRows {
  readonly kind: "cursor" | "statement";
  readonly name: string;
}

export class PreparedStatements {
  readonly #byName = new Map<string, PreparedStatement>();
  /**
   * With a name, and made since the last Sync: in PostgreSQL by the transaction that runs them, so
   * that nothing has changed their tables since. Each is in `#byName`.
   */
  readonly #young = new Set<PreparedStatement>();

  /** Asked before a name is used up: only the unnamed statement may be replaced. */
  refuseTaken(name: string): void {
    if (name !== "" && this.#byName.has(name)) {
      throw new SqlError(
        "prepared_statement_exists",
        `prepared statement "${name}" already exists`,
      );
    }
    if (this.#byName.size >= PREPARED_STATEMENTS_PER_CLIENT_MAX) {
      throw new SqlError(
        "too_many_prepared_statements",
        `a connection may hold ${PREPARED_STATEMENTS_PER_CLIENT_MAX} prepared statements`,
      );
    }
  }

  get size(): number {
    return this.#byName.size;
  }

  add(statement: PreparedStatement): void {
    if (this.#byName.get(statement.name) === statement) return;
    this.close(statement.name);
    this.#byName.set(statement.name, statement);
    if (statement.name !== "") this.#young.add(statement);
  }

  /** A Sync: what has a name keeps its columns from then on. */
  endBatch(): void {
    if (this.#young.size === 0) return;
    for (const statement of this.#young) statement.isTold = true;
    this.#young.clear();
  }

  get(name: string): PreparedStatement {
    const statement = this.#byName.get(name);
    if (statement !== undefined) return statement;
    throw new SqlError(
      "prepared_statement_unknown",
      name === ""
        ? "unnamed prepared statement does not exist"
        : `prepared statement "${name}" does not exist`,
    );
  }

  find(name: string): PreparedStatement | undefined {
    return this.#byName.get(name);
  }

  /** One more may be made. */
  get hasRoom(): boolean {
    return this.#byName.size < PREPARED_STATEMENTS_PER_CLIENT_MAX;
  }

  /** Close: an absent name is no error. */
  close(name: string): void {
    const statement = this.#byName.get(name);
    if (statement === undefined) return;
    this.#byName.delete(name);
    this.#young.delete(statement);
  }

  /** DEALLOCATE: an absent name is one. */
  deallocate(name: string): void {
    this.get(name);
    this.close(name);
  }

  /** All but the unnamed one, which is none of PostgreSQL's table of them. */
  clear(): void {
    const unnamed = this.#byName.get("");
    this.#byName.clear();
    this.#young.clear();
    if (unnamed !== undefined) this.add(unnamed);
  }
}
