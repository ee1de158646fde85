/**
 * How one fragment is put to a backend: with the client's own protocol, so that formats
 * and errors are PostgreSQL's.
 */
import type { BoundParameter } from "../../planner/physical-plan.ts";
import { plainSql } from "../../planner/sql-template.ts";
import type { RenderedSql } from "../../planner/sql-template.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import type { FrameWriter } from "../protocol/frame-writer.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { encodeBind } from "../protocol/frontend/bind.ts";
import { encodeClose } from "../protocol/frontend/close.ts";
import { encodeDescribe } from "../protocol/frontend/describe.ts";
import { encodeExecute } from "../protocol/frontend/execute.ts";
import { encodeParse } from "../protocol/frontend/parse.ts";
import { encodeQuery } from "../protocol/frontend/query.ts";
import { encodeSync } from "../protocol/frontend/sync.ts";
import type { PlacementUse } from "./placement-use.ts";
import { prepare, PreparedText } from "./prepared-texts.ts";
import type { DataRowRun } from "./shard-rows.ts";

/** OIDs of user-defined types and of tables differ between databases; clients see the catalog database's. */
export interface OidTranslation {
  columns(columns: readonly ColumnDescription[]): readonly ColumnDescription[];
  /** What rows of these columns, the server's own, need before the client may read them; undefined for nothing. */
  rowPatch(columns: readonly ColumnDescription[]): ((run: DataRowRun) => DataRowRun) | undefined;
  /** The catalog database's types, in this database's OIDs. */
  parameterTypes(types: readonly number[]): readonly number[];
}

const NO_TRANSLATION: OidTranslation = {
  columns: (columns) => columns,
  rowPatch: () => undefined,
  parameterTypes: (types) => types,
};

type Sending = Pick<FragmentRequest, "places" | "use">;

const OF_NO_PLACEMENT: Sending = { places: [], use: undefined };

export type FragmentProtocol =
  | { readonly kind: "simple" }
  | {
      readonly kind: "extended";
      readonly parameters: readonly BoundParameter[];
      /** One for all columns, one a column, or none (all text), as in Bind. */
      readonly resultFormats: readonly ("text" | "binary")[];
      /** The client named its statement, so it will come again: it is kept prepared on the backend. */
      readonly keepPrepared: boolean;
      /** Inside a transaction block: rows are asked for as they are wanted, and the backend is free in between. */
      readonly fetch?: PartialFetch | undefined;
      /** A backend has taken the parameters' values; called once for each. */
      readonly onBound: () => void;
      /** Where the client knows of no columns yet: called before any row, where a server's are others than it was to be told. */
      readonly onOtherColumns?: ((columns: readonly ColumnDescription[]) => void) | undefined;
    };

/** How rows are asked of a backend some at a time; `rows` at once. */
export type PartialFetch =
  | PortalFetch
  /** The text is a FETCH of so many rows. The cursor is its own: whoever declared it closes it. */
  | { readonly kind: "cursor"; readonly rows: number };

/** A portal that a backend holds open between the rows that are asked of it. */
export interface PortalFetch {
  readonly kind: "portal";
  /** Unique in the transaction. */
  readonly portal: string;
  readonly rows: number;
}

export interface FragmentRequest {
  readonly rendered: RenderedSql;
  readonly protocol: FragmentProtocol;
  /** Statements prepared before the tables changed are not used again: their result types may be others. */
  readonly catalogEpoch: number;
  readonly translation: OidTranslation;
  /** Types of the parameters in this database's OIDs. */
  readonly parameterTypes: readonly number[];
  /** The backend's own columns are wanted (RowDescription in the stream). */
  readonly describe: boolean;
  /** The placements that it reads or writes, and who is asked whether it still may. */
  readonly places: readonly string[];
  readonly use: PlacementUse | undefined;
}

/**
 * Writes the request's messages, Sync or Query included: exactly one ReadyForQuery will follow.
 * Throws `placement_lease_lost` before anything is written.
 */
export function writeFragment(
  connection: BackendConnection,
  request: FragmentRequest,
  writer: FrameWriter,
): void {
  const { protocol, rendered } = request;
  request.use?.maySend(request.places);
  if (protocol.kind === "simple") {
    encodeQuery({ kind: "query", sql: rendered.sql }, writer);
  } else {
    const statement = protocol.keepPrepared
      ? prepare(connection, new PreparedText(request), writer)
      : parseUnnamed(request, writer);
    const fetch = protocol.fetch?.kind === "portal" ? protocol.fetch : undefined;
    const portal = fetch?.portal ?? "";
    encodeBind(
      {
        kind: "bind",
        portal,
        statement,
        parameterFormats: protocol.parameters.map(({ format }) => format),
        parameters: protocol.parameters.map(({ value }) => value),
        resultFormats: protocol.resultFormats,
      },
      writer,
    );
    if (request.describe)
      encodeDescribe({ kind: "describe", target: "portal", name: portal }, writer);
    encodeExecute({ kind: "execute", portal, rowLimit: fetch?.rows ?? 0 }, writer);
    encodeSync({ kind: "sync" }, writer);
  }
  connection.expectReady();
  connection.send(writer.take());
}

/** Asks the request's open portal for its next rows. Throws as `writeFragment` does. */
export function writeFetch(
  connection: BackendConnection,
  { places, use }: FragmentRequest,
  { portal, rows }: PortalFetch,
  writer: FrameWriter,
): void {
  use?.maySend(places);
  encodeExecute({ kind: "execute", portal, rowLimit: rows }, writer);
  encodeSync({ kind: "sync" }, writer);
  connection.expectReady();
  connection.send(writer.take());
}

export function writeClose(
  connection: BackendConnection,
  { portal }: PortalFetch,
  writer: FrameWriter,
): void {
  encodeClose({ kind: "close", target: "portal", name: portal }, writer);
  encodeSync({ kind: "sync" }, writer);
  connection.expectReady();
  connection.send(writer.take());
}

function parseUnnamed(request: FragmentRequest, writer: FrameWriter): string {
  encodeParse(
    {
      kind: "parse",
      statement: "",
      sql: request.rendered.sql,
      parameterTypeOids: request.parameterTypes,
    },
    writer,
  );
  return "";
}

/** A text of the proxy's own, without parameters, whose rows nobody describes. `sending`: where it is about placements. */
export function plainRequest(sql: string, sending: Sending = OF_NO_PLACEMENT): FragmentRequest {
  return {
    ...sending,
    rendered: plainSql(sql),
    protocol: { kind: "simple" },
    catalogEpoch: 0,
    translation: NO_TRANSLATION,
    parameterTypes: [],
    describe: false,
  };
}
