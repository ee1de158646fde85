/** A client's portals: bound statements, which live as long as the transaction. */
import { PORTALS_PER_CLIENT_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import type { RowSource } from "./row-queue.ts";
import { isUndone } from "./session-transaction.ts";
import type { Scope } from "./session-transaction.ts";

export interface Portal {
  readonly name: string;
  readonly statement: PreparedStatement;
  readonly parameters: readonly BoundParameter[];
  readonly resultFormats: readonly FormatCode[];
  /** The statement's columns in the portal's formats; undefined without rows. */
  readonly columns: readonly ColumnDescription[] | undefined;
  readonly scope: Scope;
  progress: PortalProgress;
}

export type PortalProgress =
  | { readonly kind: "new" }
  /** Its rows so far were fewer than it has: the rest waits here. */
  | { readonly kind: "suspended"; readonly rows: RowSource }
  /** The tag says what kind of statement it was. */
  | { readonly kind: "done"; readonly tag: string };

export class Portals {
  readonly #byName = new Map<string, Portal>();

  add(portal: Portal): void {
    if (portal.name !== "" && this.find(portal.name) !== undefined) {
      throw new SqlError("portal_exists", `cursor "${portal.name}" already exists`);
    }
    if (this.#byName.size >= PORTALS_PER_CLIENT_MAX) this.#dropUndone();
    if (this.#byName.size >= PORTALS_PER_CLIENT_MAX) {
      throw new SqlError(
        "too_many_portals",
        `a transaction may hold ${PORTALS_PER_CLIENT_MAX} portals`,
      );
    }
    this.#byName.set(portal.name, portal);
  }

  /** A portal goes with the transaction, or the savepoint, that it was made in. */
  find(name: string): Portal | undefined {
    const portal = this.#byName.get(name);
    return portal === undefined || isUndone(portal.scope) ? undefined : portal;
  }

  get(name: string): Portal {
    const portal = this.find(name);
    if (portal === undefined)
      throw new SqlError("portal_unknown", `portal "${name}" does not exist`);
    return portal;
  }

  close(name: string): void {
    this.#byName.delete(name);
  }

  /** Inside its transaction: what it still reads is ended. */
  async end(name: string): Promise<void> {
    const progress = this.find(name)?.progress;
    this.close(name);
    if (progress?.kind === "suspended") await progress.rows.close();
  }

  clear(): void {
    this.#byName.clear();
  }

  #dropUndone(): void {
    for (const { name, scope } of this.#byName.values())
      if (isUndone(scope)) this.#byName.delete(name);
  }
}
