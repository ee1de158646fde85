/** A client's portals: bound statements, which live as long as the transaction. */
import { PORTALS_PER_CLIENT_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import type { RowQueue } from "./row-queue.ts";

export interface Portal {
  readonly name: string;
  readonly statement: PreparedStatement;
  readonly parameters: readonly BoundParameter[];
  readonly resultFormats: readonly FormatCode[];
  /** The statement's columns in the portal's formats; undefined without rows. */
  readonly columns: readonly ColumnDescription[] | undefined;
  progress: PortalProgress;
}

export type PortalProgress =
  | { readonly kind: "new" }
  /** Its rows so far were fewer than it has: the rest waits here. */
  | { readonly kind: "suspended"; readonly rows: RowQueue }
  | { readonly kind: "done" };

export class Portals {
  readonly #byName = new Map<string, Portal>();

  add(portal: Portal): void {
    if (portal.name !== "" && this.#byName.has(portal.name)) {
      throw new SqlError("portal_exists", `cursor "${portal.name}" already exists`);
    }
    if (this.#byName.size >= PORTALS_PER_CLIENT_MAX) {
      throw new SqlError(
        "too_many_portals",
        `a transaction may hold ${PORTALS_PER_CLIENT_MAX} portals`,
      );
    }
    this.#byName.set(portal.name, portal);
  }

  get(name: string): Portal {
    const portal = this.#byName.get(name);
    if (portal === undefined)
      throw new SqlError("portal_unknown", `portal "${name}" does not exist`);
    return portal;
  }

  close(name: string): void {
    this.#byName.delete(name);
  }

  clear(): void {
    this.#byName.clear();
  }
}
