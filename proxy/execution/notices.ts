/** Notices of all backends of a statement, in the order they came, until its next rows give them a place to go. */
import { GATHER_BYTES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ResultEvent } from "./result-event.ts";

export class Notices {
  #notices: Buffer[] = [];
  #bytes = 0;

  add(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#bytes > GATHER_BYTES_MAX)
      throw new SqlError("gather_memory_exceeded", "the statement's notices take too much memory");
    this.#notices.push(bytes);
  }

  *take(): Generator<ResultEvent> {
    const notices = this.#notices;
    this.#notices = [];
    this.#bytes = 0;
    for (const bytes of notices) yield { kind: "notice", bytes };
  }
}
