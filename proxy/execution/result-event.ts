/** What an execution gives, in the order a client reads it. */
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { CopyFormat } from "../protocol/copy-format.ts";
import type { DataRowRun } from "./shard-rows.ts";

export type ResultEvent =
  | { readonly kind: "columns"; readonly columns: readonly ColumnDescription[] }
  | { readonly kind: "rows"; readonly rows: DataRowRun }
  /** A whole NoticeResponse frame, relayed as it came. */
  | { readonly kind: "notice"; readonly bytes: Buffer }
  | { readonly kind: "complete"; readonly tag: string }
  /** COPY ... TO STDOUT of one placement: its data follows, as whole CopyData frames, and then its tag. */
  | { readonly kind: "copyOut"; readonly format: CopyFormat }
  | { readonly kind: "copyData"; readonly bytes: Buffer }
  | { readonly kind: "suspended" }
  | { readonly kind: "empty" };

export type ResultStream = AsyncGenerator<ResultEvent, void, undefined>;
