/**
 * Parameters and columns of statements, as the catalog database describes them, kept by
 * text, declared types, settings and catalog: a statement met before costs no round trip.
 */
import { DESCRIPTION_CACHE_ENTRIES_MAX, DESCRIPTION_KEY_LENGTH_MAX } from "../../base/limits.ts";
import type { DescribedThing, Description } from "../execution/describe.ts";
import { BoundedCache } from "./bounded-cache.ts";

export interface DescriptionKey {
  readonly of: DescribedThing;
  readonly sql: string;
  readonly declaredTypes: readonly number[];
  readonly settingsTag: string;
  readonly catalogEpoch: number;
}

export class DescriptionCache {
  readonly #cache = new BoundedCache<string, Description>(DESCRIPTION_CACHE_ENTRIES_MAX);

  get(key: DescriptionKey): Description | undefined {
    return this.#cache.get(keyText(key));
  }

  /** Long texts are hardly met twice, and would hold much memory. */
  set(key: DescriptionKey, description: Description): void {
    const text = keyText(key);
    if (text.length <= DESCRIPTION_KEY_LENGTH_MAX) this.#cache.set(text, description);
  }
}

/** No part before the statement's text holds a zero byte, so no two keys meet. */
function keyText({ of, sql, declaredTypes, settingsTag, catalogEpoch }: DescriptionKey): string {
  return `${of}\0${catalogEpoch}\0${declaredTypes.join(",")}\0${settingsTag}\0${sql}`;
}
