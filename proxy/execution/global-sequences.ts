/**
 * Ids that are unique over all placements: drawn from the canonical sequence in the catalog
 * database, in blocks, outside of the client's transaction, as PostgreSQL's own sequences are.
 *
 * Values come in the sequence's order. What is left of a block when the proxy stops is a gap.
 */
import { quoteLiteral, quoteQualified } from "../../base/sql-quoting.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";

export interface SequenceName {
  readonly schema: string;
  readonly sequence: string;
}

/** Lends a backend of the catalog database for one call. */
export type WithCatalog = <T>(use: (connection: BackendConnection) => Promise<T>) => Promise<T>;

export class GlobalSequences {
  readonly #blocks = new Map<string, string[]>();
  readonly #tellOthers: () => Promise<void>;
  readonly #turns = new Map<string, Promise<unknown>>();

  /**
   * The next `count` values, as decimal text, in order; where they are not there any more,
   * `blockSize` at least are drawn. Concurrent callers are served one after the other.
   */
  draw(
    name: SequenceName,
    count: number,
    blockSize: number,
    withCatalog: WithCatalog,
  ): Promise<readonly string[]> {
    const key = qualified(name);
    const turn = (this.#turns.get(key) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.#drawInTurn(key, count, blockSize, withCatalog));
    this.#turns.set(key, turn);
    return turn;
  }

  async #drawInTurn(
    key: string,
    count: number,
    blockSize: number,
    withCatalog: WithCatalog,
  ): Promise<readonly string[]> {
    const block = this.#blocks.get(key) ?? [];
    this.#blocks.set(key, block);
    if (block.length < count) {
      const missing = Math.max(count - block.length, blockSize);
      block.push(...(await withCatalog((connection) => nextValues(connection, key, missing))));
    }
    return block.splice(0, count);
  }

  /** `tellOthers`: those who serve the same clients have drawn ahead, too. */
  constructor(tellOthers: () => Promise<void> = async () => undefined) {
    this.#tellOthers = tellOthers;
  }

  /** After DDL, or setval(): a sequence may have been set, changed or dropped. */
  async forget(): Promise<void> {
    this.forgetHere();
    await this.#tellOthers();
  }

  forgetHere(): void {
    this.#blocks.clear();
  }
}

/** Straight from the sequence, without a block: for a transaction that has just made it. */
export async function nextValues(
  connection: BackendConnection,
  sequence: string,
  count: number,
): Promise<readonly string[]> {
  const { rows } = await connection.query(
    `SELECT pg_catalog.nextval(${quoteLiteral(sequence)}) FROM pg_catalog.generate_series(1, ${count})`,
  );
  return rows.map(([value]) => value ?? "");
}

export function qualified({ schema, sequence }: SequenceName): string {
  return quoteQualified(schema, sequence);
}
