/** A client's portals: bound statements, which live as long as the transaction, and cursors, which may outlive it. */
import { PORTALS_PER_CLIENT_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { BoundCursor } from "../../planner/bind-cursor.ts";
import type { BoundParameter } from "../../planner/physical-plan.ts";
import type { FormatCode } from "../protocol/format-code.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { CursorWalk } from "./cursor-walk.ts";
import type { PreparedStatement } from "./prepared-statements.ts";
import type { RowSource } from "./row-queue.ts";
import { isUndone } from "./session-transaction.ts";
import type { Scope } from "./session-transaction.ts";

/** Both kinds share their names, as in PostgreSQL. */
export type AnyPortal = Portal | Cursor;

export interface Portal {
  readonly kind: "bound";
  readonly name: string;
  readonly statement: PreparedStatement;
  readonly parameters: readonly BoundParameter[];
  readonly resultFormats: readonly FormatCode[];
  /** The statement's columns in the portal's formats; undefined without rows. Others only before the client is told. */
  columns: readonly ColumnDescription[] | undefined;
  readonly scope: Scope;
  /** A COMMIT or ROLLBACK, bound once the transaction had failed: what was bound before, PostgreSQL gives up (AtAbort_Portals). */
  readonly mayEndFailed: boolean;
  progress: PortalProgress;
}

export type PortalProgress =
  | { readonly kind: "new" }
  /** Its rows so far were fewer than it has: the rest waits here. */
  | { readonly kind: "suspended"; readonly rows: RowSource }
  /** The tag says what kind of statement it was. */
  | { readonly kind: "done"; readonly tag: string };

/** Made by DECLARE. */
export interface Cursor {
  readonly kind: "cursor";
  readonly name: string;
  readonly scope: Scope;
  /** In text format. */
  readonly columns: () => Promise<readonly ColumnDescription[]>;
  /** The format of a FETCH of the simple protocol. */
  readonly format: FormatCode;
  /** WITH HOLD; `held` once its transaction has committed, and then in no transaction any more. */
  readonly holding: "none" | "wanted" | "held";
  place: CursorPlace;
  /** Settings that rows of it in the proxy were read under; undefined as long as there are none. */
  readUnder: ReadonlyMap<string, string> | undefined;
}

/** Where a cursor's rows are. */
export type CursorPlace =
  /** One server has the cursor under its name. `isOfView`: it names the columns otherwise than the client's text. */
  | {
      readonly kind: "native";
      readonly bound: Extract<BoundCursor, { kind: "native" }>;
      readonly isOfView: boolean;
    }
  /** Each server has one; nothing has been read of them. */
  | { readonly kind: "declared"; readonly bound: StreamedCursor }
  /** Here: read already, or as they come. All rows are in the formats that the first were read in. */
  | {
      readonly kind: "here";
      readonly walk: CursorWalk;
      readonly formats: readonly FormatCode[];
      readonly streamed: StreamedCursor | undefined;
      readonly keptBytes: number;
    }
  /** An error ended it. */
  | { readonly kind: "failed" };

type StreamedCursor = Extract<BoundCursor, { kind: "streamed" }>;

export class Portals {
  readonly #byName = new Map<string, AnyPortal>();

  add(portal: AnyPortal): void {
    if (portal.name !== "") this.refuseTaken(portal.name);
    if (this.#byName.size >= PORTALS_PER_CLIENT_MAX) this.#dropUndone();
    if (this.#byName.size >= PORTALS_PER_CLIENT_MAX) {
      throw new SqlError(
        "too_many_portals",
        `a transaction may hold ${PORTALS_PER_CLIENT_MAX} portals`,
      );
    }
    this.#byName.set(portal.name, portal);
  }

  refuseTaken(name: string): void {
    if (this.find(name) !== undefined)
      throw new SqlError("portal_exists", `cursor "${name}" already exists`);
  }

  replace(portal: AnyPortal): void {
    this.#byName.set(portal.name, portal);
  }

  /** A portal goes with the transaction, or the savepoint, that it was made in. */
  find(name: string): AnyPortal | undefined {
    const portal = this.#byName.get(name);
    return portal === undefined || isUndone(portal.scope) ? undefined : portal;
  }

  get(name: string): AnyPortal {
    const portal = this.find(name);
    if (portal === undefined)
      throw new SqlError("portal_unknown", `portal "${name}" does not exist`);
    return portal;
  }

  get isEmpty(): boolean {
    return this.#byName.size === 0;
  }

  /** Nothing, or the unnamed one alone, which has been executed to its end. */
  get areSpent(): boolean {
    if (this.isEmpty) return true;
    const unnamed = this.#byName.get("");
    const isSpent = unnamed?.kind === "bound" && unnamed.progress.kind === "done";
    return isSpent && this.#byName.size === 1;
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()];
  }

  get cursors(): readonly Cursor[] {
    return [...this.#byName.values()].filter(
      (portal) => portal.kind === "cursor" && !isUndone(portal.scope),
    ) as readonly Cursor[];
  }

  /** Of rows that cursors keep in the proxy, but for one of them. */
  keptBytes(but: Cursor | undefined): number {
    return this.cursors
      .filter((cursor) => cursor !== but)
      .reduce((sum, { place }) => sum + (place.kind === "here" ? place.keptBytes : 0), 0);
  }

  close(name: string): void {
    this.#byName.delete(name);
  }

  /** The transaction has ended. */
  clear(): void {
    for (const portal of this.#byName.values())
      if (portal.kind === "bound" || portal.holding !== "held") this.#byName.delete(portal.name);
  }

  /** Those of cursors that are held, too. */
  clearAll(): void {
    this.#byName.clear();
  }

  #dropUndone(): void {
    for (const { name, scope } of this.#byName.values())
      if (isUndone(scope)) this.#byName.delete(name);
  }
}
