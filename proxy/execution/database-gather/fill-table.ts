/**
 * Fills one temporary table of a database gather. Rows of other databases are copied in as
 * they come, none decoded; those of the catalog database never leave it. Partial groups are
 * combined on the way, wherever they are from.
 */
import { GATHER_BYTES_MAX } from "../../../base/limits.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { BoundGather, BoundPull, Fragment } from "../../../planner/physical-plan.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import { DatabaseRows } from "../database-rows.ts";
import { fragmentRequest } from "../execution-request.ts";
import type { ExecutorOptions } from "../execution-request.ts";
import type { FragmentProtocol, FragmentRequest } from "../fragment-request.ts";
import { gatherRows } from "../gather/gather.ts";
import { isBeyondTheProxy } from "../overflow.ts";
import { runFragment } from "../run-fragment.ts";
import type { DataRowRun, ShardRows } from "../shard-rows.ts";
import type { CopyBudget } from "./copy-budget.ts";
import { refuseObjectIdentifiers } from "./copied-types.ts";
import { CopyIn } from "./copy-in.ts";
import type { GatherBlock } from "./gather-block.ts";
import { copyRows, insertRows, tableSize } from "./temporary-table.ts";

export interface Filling {
  readonly pull: BoundPull;
  /** The table's name until all are full. */
  readonly table: string;
  /** What rows to be copied into it must have: binary, in the catalog database's types. */
  readonly columns: readonly ColumnDescription[];
  readonly block: GatherBlock;
  /** The client's, as far as parameters are concerned. */
  readonly protocol: FragmentProtocol;
  readonly budget: CopyBudget;
  readonly options: ExecutorOptions;
  readonly onNotice: (bytes: Buffer) => void;
  readonly signal: AbortSignal;
}

type StreamedBound = Extract<BoundGather, { kind: "gather" }>;

/** Rows in any order, all of them: what one fragment's rows are, too. */
const ALL_ROWS: StreamedBound = {
  kind: "gather",
  gather: { kind: "concat", limit: undefined },
  count: undefined,
  offset: 0n,
};

/** How a pull's fragments are asked: rows to be copied in binary, partial groups to be read in text. */
export function pullProtocol({ gather }: BoundPull, client: FragmentProtocol): FragmentProtocol {
  const isCombined = gather.kind === "gather" && gather.gather.kind === "aggregate";
  const resultFormats = isCombined ? [] : (["binary"] as const);
  return { ...extended(client), resultFormats, fetch: undefined };
}

/** Of a text that names this statement's own tables: a kept plan would be made anew each time. */
export function oncePrepared(client: FragmentProtocol): FragmentProtocol {
  return { ...extended(client), keepPrepared: false, fetch: undefined };
}

/** The simple protocol knows no binary rows, and no pipelining. */
function extended(client: FragmentProtocol): Extract<FragmentProtocol, { kind: "extended" }> {
  if (client.kind === "extended") return client;
  return {
    kind: "extended",
    parameters: [],
    resultFormats: [],
    keepPrepared: false,
    onBound: () => undefined,
  };
}

/** `remote`: the pull's rows of the databases that the block does not read itself. */
export async function fillTable(remote: readonly ShardRows[], filling: Filling): Promise<void> {
  const { pull, columns, block, signal } = filling;
  if (remote.length > 0) refuseObjectIdentifiers(columns, filling.options.types);
  const local = pull.fragments.filter((fragment) => isRead(fragment, filling));
  const isWhole = pull.gather.kind === "passThrough" || isAllRows(pull.gather);
  if (isWhole) for (const fragment of local) await insertFragment(fragment, filling);
  signal.throwIfAborted();
  const read = isWhole ? [] : local;
  if (remote.length === 0 && read.length === 0) return;
  const localRows = new DatabaseRows(
    block.connection,
    read.map((fragment) => ({
      placementId: fragment.placementIds.join(", "),
      request: textRequest(fragment, true, filling),
      rowIndexes: undefined,
    })),
    filling.onNotice,
  );
  try {
    const shards = read.length === 0 ? remote : [...remote, localRows.chained()];
    await copyAll(shards, localRows, filling);
  } finally {
    // Never cancelled: that would fail the transaction that the tables are in.
    await localRows.abandon(false);
  }
}

/** Whether the block's own backend reads the fragment, rather than one of the scatter. */
export function isRead(
  { database }: Fragment,
  { block, options }: Pick<Filling, "block" | "options">,
): boolean {
  return block.readsCatalog && database === options.catalog;
}

function isAllRows(gather: BoundPull["gather"]): boolean {
  return (
    gather.kind === "gather" &&
    gather.gather.kind === "concat" &&
    gather.count === undefined &&
    gather.offset === 0n
  );
}

function textRequest(
  fragment: Pick<Fragment, "database" | "rendered" | "placementIds">,
  describeRows: boolean,
  { pull, protocol, options }: Filling,
): FragmentRequest {
  const once = oncePrepared(pullProtocol(pull, protocol));
  return fragmentRequest(fragment, once, describeRows, options);
}

async function insertFragment(fragment: Fragment, filling: Filling): Promise<void> {
  const { pull, table, block, budget } = filling;
  const rendered = insertRows(table, pull, fragment.rendered);
  await runQuietly(textRequest({ ...fragment, rendered }, false, filling), filling);
  const { rows } = await block.connection.query(tableSize(table));
  budget.setOwn(pull.table, Number(rows[0]?.[0]));
}

async function runQuietly(request: FragmentRequest, { block, onNotice }: Filling): Promise<void> {
  for await (const event of runFragment(block.connection, request))
    if (event.kind === "notice") onNotice(event.bytes);
}

/** The copy begins with the first row that may be sent: until the block has given its own rows, its backend is busy. */
async function copyAll(
  shards: readonly ShardRows[],
  localRows: DatabaseRows,
  { pull, table, columns, block, budget, options }: Filling,
): Promise<void> {
  const bound = pull.gather.kind === "passThrough" ? ALL_ROWS : pull.gather;
  const named =
    bound.gather.kind === "concat" ? shards.map((shard) => withNames(shard, columns)) : shards;
  const gathered = gatherRows(bound, named, columns, {
    types: options.types,
    bytesMax: GATHER_BYTES_MAX,
  });
  const held = new HeldRuns(pull.table);
  let copy: CopyIn | undefined;
  try {
    for await (const run of gathered) {
      budget.add(pull.table, run.bytes.length);
      held.add(run);
      if (localRows.results.some(({ isEnded }) => !isEnded)) continue;
      copy ??= new CopyIn(block.connection, copyRows(table));
      for (const each of held.take()) await copy.write(each);
    }
    // A satisfied LIMIT leaves rows unread.
    await localRows.abandon(false);
    const left = held.take();
    if (left.length > 0) copy ??= new CopyIn(block.connection, copyRows(table));
    for (const each of left) await copy?.write(each);
    await copy?.end();
  } catch (error) {
    // A copy that is given up fails the transaction, and another plan may take this one's place in it.
    await (isBeyondTheProxy(error) ? copy?.end().catch(() => undefined) : copy?.fail());
    throw error;
  }
}

/** A table's columns have names of their own; rows are matched by position, as INSERT does it. */
function withNames(shard: ShardRows, named: readonly ColumnDescription[]): ShardRows {
  return {
    placementId: shard.placementId,
    columns: async () => {
      const columns = await shard.columns();
      return columns.map((column, index) => ({
        ...column,
        name: named[index]?.name ?? column.name,
      }));
    },
    next: () => shard.next(),
    stop: () => shard.stop(),
  };
}

/** Rows that wait for the block's backend, within the bound of a gather. */
class HeldRuns {
  readonly #table: string;
  #runs: DataRowRun[] = [];
  #bytes = 0;

  constructor(table: string) {
    this.#table = table;
  }

  add(run: DataRowRun): void {
    this.#runs.push(run);
    this.#bytes += run.bytes.length;
    if (this.#bytes <= GATHER_BYTES_MAX) return;
    throw new SqlError(
      "gather_memory_exceeded",
      `groups of "${this.#table}" need more than ${GATHER_BYTES_MAX} bytes`,
    );
  }

  take(): readonly DataRowRun[] {
    const runs = this.#runs;
    this.#runs = [];
    this.#bytes = 0;
    return runs;
  }
}
