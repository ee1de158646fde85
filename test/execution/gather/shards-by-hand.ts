/** Shards made by hand, for tests of the gather: rows are arrays of text, null for NULL. */
import type { CatalogType } from "../../../shardmap/catalog.ts";
import type { ColumnDescription } from "../../../proxy/protocol/backend/row-description.ts";
import { RunWriter } from "../../../proxy/execution/gather/data-row.ts";
import type { DataRowRun, ShardRows } from "../../../proxy/execution/shard-rows.ts";

export type Field = string | Buffer | null;

export const OID = {
  bool: 16,
  int8: 20,
  int4: 23,
  text: 25,
  json: 114,
  float4: 700,
  float8: 701,
  numeric: 1700,
};

export const NO_TYPES: {
  readonly byOid: ReadonlyMap<number, CatalogType>;
  readonly extraFloatDigits: number;
} = { byOid: new Map(), extraFloatDigits: 1 };

export function column(
  name: string,
  typeOid: number,
  format: "text" | "binary" = "text",
): ColumnDescription {
  return { name, tableOid: 0, columnNumber: 0, typeOid, typeSize: -1, typmod: -1, format };
}

export function runOf(rows: readonly (readonly Field[])[]): DataRowRun {
  const writer = new RunWriter();
  for (const row of rows) {
    writer.appendFields(
      row.map((field) => (typeof field === "string" ? Buffer.from(field) : field)),
    );
  }
  return writer.take() ?? { bytes: Buffer.alloc(0), count: 0 };
}

/** The rows of runs, as text. */
export function rowsOf(runs: readonly DataRowRun[]): (string | null)[][] {
  return runs.flatMap(({ bytes, count }) => {
    const rows: (string | null)[][] = [];
    for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
      const fields: (string | null)[] = [];
      let position = at + 7;
      for (let field = 0; field < bytes.readUInt16BE(at + 5); field++) {
        const length = bytes.readInt32BE(position);
        position += 4;
        fields.push(length < 0 ? null : bytes.toString("latin1", position, position + length));
        position += Math.max(length, 0);
      }
      rows.push(fields);
    }
    if (rows.length !== count) throw new Error(`a run says ${count} rows and has ${rows.length}`);
    return rows;
  });
}

export async function collect(runs: AsyncIterable<DataRowRun>): Promise<(string | null)[][]> {
  const all: DataRowRun[] = [];
  for await (const run of runs) all.push(run);
  return rowsOf(all);
}

/** A shard whose runs are given, or handed over by the test one by one. */
export class HandShard implements ShardRows {
  readonly placementId: string;
  readonly #columns: readonly ColumnDescription[];
  readonly #runs: DataRowRun[];
  #failure: Error | undefined;
  #isOpen: boolean;
  #wake: () => void = () => undefined;
  isStopped = false;
  /** Calls of `next` so far. */
  asked = 0;

  constructor(
    placementId: string,
    columns: readonly ColumnDescription[],
    runs: readonly (readonly (readonly Field[])[])[],
    more: { failure?: Error; isOpen?: boolean } = {},
  ) {
    this.placementId = placementId;
    this.#columns = columns;
    this.#runs = runs.map(runOf);
    this.#failure = more.failure;
    this.#isOpen = more.isOpen ?? false;
  }

  columns(): Promise<readonly ColumnDescription[]> {
    return Promise.resolve(this.#columns);
  }

  async next(): Promise<DataRowRun | undefined> {
    this.asked++;
    for (;;) {
      if (this.isStopped) return undefined;
      const run = this.#runs.shift();
      if (run !== undefined) return run;
      if (this.#failure !== undefined) throw this.#failure;
      if (!this.#isOpen) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  stop(): void {
    this.isStopped = true;
    this.#wake();
  }

  give(rows: readonly (readonly Field[])[]): void {
    this.#runs.push(runOf(rows));
    this.#wake();
  }

  end(failure?: Error): void {
    this.#failure = failure;
    this.#isOpen = false;
    this.#wake();
  }
}
