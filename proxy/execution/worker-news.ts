/**
 * What one process of several on one address has to tell the others before its client is answered:
 * a client cannot tell whom it asks next, and must find there what it was told here.
 */
import type { Log } from "../../base/log.ts";
import type { GlobalSequences } from "./global-sequences.ts";
import type { InDoubt, UnfinishedPart } from "./in-doubt.ts";

export type WorkerNews =
  | { readonly kind: "unfinished"; readonly part: UnfinishedPart }
  /** A sequence was set, or is another: what was drawn ahead of it is void. */
  | { readonly kind: "sequences" }
  /** Tables have changed. */
  | { readonly kind: "catalog" };

export interface NewsReader {
  readonly inDoubt: InDoubt;
  readonly sequences: GlobalSequences;
  readonly refreshCatalog: () => Promise<void>;
  readonly log: Log;
}

/** In force here when it resolves. */
export async function heed(news: WorkerNews, reader: NewsReader): Promise<void> {
  switch (news.kind) {
    case "unfinished":
      return reader.inDoubt.adoptUnfinished(news.part);
    case "sequences":
      return reader.sequences.forgetHere();
    case "catalog":
      // It is looked at again within seconds anyway.
      await reader.refreshCatalog().catch((error: unknown) => {
        reader.log.warn({ err: error }, "the catalog could not be loaded after a change");
      });
  }
}
