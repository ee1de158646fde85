/**
 * Runs a plan whose rows are gathered in the catalog database: its temporary tables are made
 * and filled, then the rest of the statement runs over them and its rows are the client's.
 *
 *     shards  ── rows, binary ──▶  COPY pg_temp.colonnade_pull_0 ...   one table after the other,
 *     catalog ── INSERT ... SELECT ──▶                                 all databases at once
 *                                  ALTER TABLE ... RENAME
 *     client  ◀── rows, as they come ──  the finish
 *
 * It knows which backend holds the tables and nothing of why the planner wants them.
 */
import { invariant } from "../../../base/invariant.ts";
import { GATHER_BYTES_MAX } from "../../../base/limits.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { DatabaseRows } from "../database-rows.ts";
import { fragmentRequest } from "../execution-request.ts";
import type { ExecutionRequest, ExecutorOptions } from "../execution-request.ts";
import { Notices } from "../notices.ts";
import type { ResultEvent, ResultStream } from "../result-event.ts";
import { runFragment } from "../run-fragment.ts";
import { markWritten, Scatter } from "../scatter.ts";
import type { ScatterEnd, ScatterFragment } from "../scatter.ts";
import type { SessionBackends } from "../session-backends.ts";
import type { ShardRows } from "../shard-rows.ts";
import type { Transaction } from "../transaction.ts";
import { CopyBudget } from "./copy-budget.ts";
import { fillTable, isRead, oncePrepared, pullProtocol } from "./fill-table.ts";
import { openGatherBlock } from "./gather-block.ts";
import type { GatherBlock } from "./gather-block.ts";
import { makeTables } from "./make-tables.ts";
import { sendAhead } from "./pipeline.ts";
import { fillingName, finishTable } from "./temporary-table.ts";

export interface DatabaseGatherParts {
  readonly backends: SessionBackends;
  readonly options: ExecutorOptions;
  readonly transaction: Transaction | undefined;
  readonly signal: AbortSignal;
  /** How the databases that were read are left where the gather fails by `error`. */
  readonly endAfter: (error: unknown) => ScatterEnd;
}

export async function* databaseGather(
  request: ExecutionRequest,
  parts: DatabaseGatherParts,
): ResultStream {
  const { backends, options, transaction, signal } = parts;
  const { access } = request.plan;
  invariant(
    transaction !== undefined || access === "read",
    "a gather that writes runs in a transaction",
  );
  const notices = new Notices();
  const { catalog } = options;
  const { usesOwnTables } = request.plan;
  const wanted = { access, usesOwnTables, backends, catalog, signal };
  const block = await openGatherBlock(transaction, wanted);
  const later: ResultEvent[] = [];
  let tag: string | undefined;
  try {
    await fillTables(request, parts, block, notices);
    const finished = finish(request, parts, block);
    for await (const event of isTakenLater(request) ? kept(finished, later) : finished) {
      yield* notices.take();
      if (event.kind === "complete") tag = event.tag;
      else yield event;
    }
  } finally {
    await block.close();
  }
  yield* notices.take();
  yield* later;
  if (tag !== undefined) yield { kind: "complete", tag };
}

/** The client asks for some rows at a time, and may send other statements in between. */
function isTakenLater({ protocol }: ExecutionRequest): boolean {
  return protocol.kind === "extended" && protocol.fetch !== undefined;
}

/**
 * Puts the rows into `later`, for when the tables are gone: they may have the names of the
 * client's own, and a statement in between would read them instead.
 */
async function* kept(finished: ResultStream, later: ResultEvent[]): ResultStream {
  let bytes = 0;
  for await (const event of finished) {
    if (event.kind !== "rows") {
      yield event;
      continue;
    }
    bytes += event.rows.bytes.length;
    if (bytes > GATHER_BYTES_MAX)
      throw new SqlError(
        "portal_too_large",
        `the rows of a suspended portal exceed ${GATHER_BYTES_MAX} bytes`,
      );
    later.push(event);
  }
}

async function fillTables(
  { plan, protocol }: ExecutionRequest,
  { backends, options, transaction, signal, endAfter }: DatabaseGatherParts,
  block: GatherBlock,
  notices: Notices,
): Promise<void> {
  const onNotice = (bytes: Buffer): void => notices.add(bytes);
  const asked = plan.pulls.map((pull): readonly ScatterFragment[] => {
    const remote = pull.fragments.filter((fragment) => !isRead(fragment, { block, options }));
    const pulled = pullProtocol(pull, protocol);
    return remote.map((fragment) => ({
      fragment,
      request: fragmentRequest(fragment, pulled, true, options),
    }));
  });
  const scatter = await Scatter.open(asked.flat(), {
    backends,
    transaction,
    catalog: options.catalog,
    access: plan.access,
    isOneSnapshot: true,
    onNotice,
    signal,
  });
  const budget = new CopyBudget(options.databaseGatherBytesMax);
  let end: ScatterEnd = "failed";
  try {
    for (const database of scatter.databases) database.start();
    const tables = plan.pulls.map((pull, index) => ({ pull, name: fillingName(index) }));
    const described = await makeTables(tables, block, { protocol, options, onNotice });
    const remote = new RemoteRows(scatter.databases);
    for (const [index, { pull, name: table }] of tables.entries()) {
      const columns = described[index] ?? [];
      const filling = { pull, table, columns, block, protocol, budget, options, onNotice, signal };
      await fillTable(remote.next(asked[index] ?? []), filling);
    }
    end = "done";
  } catch (error) {
    end = endAfter(error);
    throw error;
  } finally {
    await scatter.close(end);
    options.metrics.increment("colonnade_gather_copied_bytes_total", {}, budget.copiedBytes);
  }
}

/** Each database's fragments follow each other in the order of the pulls: every pull takes its own off the front. */
class RemoteRows {
  readonly #left: readonly { readonly rows: DatabaseRows; taken: number }[];

  constructor(databases: readonly DatabaseRows[]) {
    this.#left = databases.map((rows) => ({ rows, taken: 0 }));
  }

  /** One for each database that answers some of the fragments. */
  next(fragments: readonly ScatterFragment[]): readonly ShardRows[] {
    const shards: ShardRows[] = [];
    for (const each of this.#left) {
      const { database } = each.rows.connection;
      const count = fragments.filter(({ fragment }) => fragment.database === database).length;
      const own = each.rows.results.slice(each.taken, each.taken + count);
      each.taken += count;
      if (own.length > 0) shards.push(each.rows.chained(own));
    }
    return shards;
  }
}

/** The tables get their names, and the client its rows. */
async function* finish(
  { plan, protocol, output, describe }: ExecutionRequest,
  { options, signal }: DatabaseGatherParts,
  block: GatherBlock,
): ResultStream {
  const [fragment, ...others] = plan.fragments;
  invariant(
    fragment !== undefined && others.length === 0 && fragment.database === options.catalog,
    "a database gather ends with one text for the catalog database",
  );
  invariant(
    output !== undefined || !plan.returnsRows,
    "the client's columns are known before rows are gathered",
  );
  signal.throwIfAborted();
  options.use.maySend(fragment.placementIds);
  // With the finish in one round trip; where one of them fails, so does the transaction.
  const ahead = plan.pulls.flatMap((pull, index) => finishTable(fillingName(index), pull));
  sendAhead(block.connection, ahead);
  block.tables.clear();
  for (const { table } of plan.pulls) block.tables.add(table);

  if (plan.access === "write") markWritten(block.participant, undefined);
  const asked = { ...fragment, placementIds: [] };
  const text = fragmentRequest(asked, oncePrepared(protocol), true, options);
  let aheadCount = ahead.length;
  for await (const event of runFragment(block.connection, text)) {
    if (event.kind === "columns" && output !== undefined) {
      checkTypes(event.columns, output);
      if (describe) yield { kind: "columns", columns: output };
    } else if (event.kind === "complete" && aheadCount > 0) {
      aheadCount -= 1;
    } else {
      if (event.kind === "complete" && plan.access === "write")
        markWritten(block.participant, event.tag);
      yield event;
    }
  }
}

/** The client reads rows by what it was told of its own statement: others must never reach it. */
function checkTypes(
  columns: readonly ColumnDescription[],
  output: readonly ColumnDescription[],
): void {
  const differing = output.findIndex(
    ({ typeOid, format }, index) =>
      columns[index]?.typeOid !== typeOid || columns[index].format !== format,
  );
  if (columns.length === output.length && differing === -1) return;
  throw new SqlError(
    "gather_result_differs",
    columns.length === output.length
      ? `column "${output[differing]?.name}" has another type over temporary tables than over the tables themselves`
      : `the statement has ${columns.length} columns over temporary tables and ${output.length} over the tables themselves`,
  );
}
