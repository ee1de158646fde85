/** A console connection's prepared statements and portals, by the names that the client gave them. */
import { CONSOLE_STATEMENTS_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { ConsoleRows } from "./console-answers.ts";
import type { ConsoleStatement } from "./console-statement.ts";

export interface PreparedCommand {
  readonly statement: ConsoleStatement;
  /** Of a portal, in its formats; undefined without rows. */
  readonly columns: readonly ColumnDescription[] | undefined;
}

export interface ConsolePortal extends PreparedCommand {
  progress:
    | { readonly kind: "new" }
    | { readonly kind: "suspended"; readonly rows: ConsoleRows; readonly tag: string }
    | { readonly kind: "done"; readonly tag: string };
}

export class ConsolePortals {
  readonly #statements = new Map<string, PreparedCommand>();
  readonly #portals = new Map<string, ConsolePortal>();

  get statementCount(): number {
    return this.#statements.size;
  }

  addStatement(name: string, prepared: PreparedCommand): void {
    if (name !== "" && this.#statements.has(name)) {
      throw new SqlError(
        "prepared_statement_exists",
        `prepared statement "${name}" already exists`,
      );
    }
    refuseAbove(this.#statements.size);
    this.#statements.set(name, prepared);
  }

  statement(name: string): PreparedCommand {
    const found = this.#statements.get(name);
    if (found !== undefined) return found;
    const message =
      name === ""
        ? "unnamed prepared statement does not exist"
        : `prepared statement "${name}" does not exist`;
    throw new SqlError("prepared_statement_unknown", message);
  }

  addPortal(name: string, portal: ConsolePortal): void {
    if (name !== "" && this.#portals.has(name)) {
      throw new SqlError("portal_exists", `cursor "${name}" already exists`);
    }
    refuseAbove(this.#portals.size);
    this.#portals.set(name, portal);
  }

  portal(name: string): ConsolePortal {
    const found = this.#portals.get(name);
    if (found !== undefined) return found;
    throw new SqlError("portal_unknown", `portal "${name}" does not exist`);
  }

  /** An absent name is no error. */
  close(target: "statement" | "portal", name: string): void {
    if (target === "statement") this.#statements.delete(name);
    else this.#portals.delete(name);
  }

  forgetStatements(): void {
    this.#statements.clear();
  }

  /** A query string uses them up. */
  forgetUnnamed(): void {
    this.#statements.delete("");
    this.#portals.delete("");
  }

  endTransaction(): void {
    this.#portals.clear();
  }
}

function refuseAbove(count: number): void {
  if (count < CONSOLE_STATEMENTS_MAX) return;
  throw new SqlError(
    "console_statements_exceeded",
    `a connection to the admin console may hold ${CONSOLE_STATEMENTS_MAX} prepared statements and as many portals`,
  );
}
