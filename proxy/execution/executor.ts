/**
 * Runs a physical plan: takes backends, puts the fragments to them, and gives the client's
 * one stream of results. It decides nothing about routing and knows no client.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { invariant } from "../../base/invariant.ts";
import { GATHER_BYTES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import { countBuffers } from "../backend/read-garbage.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { databaseGather } from "./database-gather/database-gather.ts";
import type { DatabaseRows } from "./database-rows.ts";
import { fragmentRequest } from "./execution-request.ts";
import type { ExecutionRequest, ExecutorOptions } from "./execution-request.ts";
import type { FragmentProtocol } from "./fragment-request.ts";
import { combineCommandTags, gatherRows, insertOrderRows } from "./gather/gather.ts";
import { needsMoment, readMoment, requestAt } from "./moment.ts";
import { Notices } from "./notices.ts";
import { isBeyondTheProxy } from "./overflow.ts";
import type { ResultStream } from "./result-event.ts";
import { runFragment } from "./run-fragment.ts";
import { markWritten, Scatter } from "./scatter.ts";
import type { ScatterEnd } from "./scatter.ts";
import type { SessionBackends } from "./session-backends.ts";
import type { DataRowRun } from "./shard-rows.ts";
import type { Participant } from "./participant.ts";
import type { Transaction } from "./transaction.ts";

export class Executor {
  readonly #backends: SessionBackends;
  readonly #options: ExecutorOptions;

  constructor(backends: SessionBackends, options: ExecutorOptions) {
    this.#backends = backends;
    this.#options = options;
  }

  /** Inside `transaction`, or where there is none each database's statement commits by itself: then writes have one fragment. */
  execute(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    return needsMoment(request.plan, transaction)
      ? this.#atOneMoment(request, transaction, signal)
      : this.#whole(request, transaction, signal);
  }

  async *#atOneMoment(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    const parts = { backends: this.#backends, catalog: this.#options.catalog, transaction, signal };
    const moment = await readMoment(request.plan, parts);
    yield* this.#whole(requestAt(request, moment), transaction, signal);
  }

  #whole(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    const { overflow } = request.plan;
    return overflow === undefined
      ? this.#run(request, transaction, signal)
      : this.#orOverflow(request, overflow, transaction, signal);
  }

  #run(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    const { pulls, fragments, gather, access } = request.plan;
    if (pulls.length > 0) return this.#inDatabase(request, transaction, signal);
    const [only] = fragments;
    invariant(only !== undefined, "a physical plan has a fragment");
    if (gather.kind === "passThrough") return this.#single(request, only, transaction, signal);
    invariant(
      transaction !== undefined || access === "read",
      "a write of several fragments runs in a transaction",
    );
    return this.#several(request, transaction, signal);
  }

  /** What has been given to the client cannot be taken back, so only a gather that has given no row is replaced. */
  async *#orOverflow(
    request: ExecutionRequest,
    overflow: PhysicalPlan,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    let isDescribed = false;
    let hasGiven = false;
    try {
      for await (const event of this.#run(request, transaction, signal)) {
        if (event.kind === "columns") isDescribed = true;
        else if (event.kind !== "notice") hasGiven = true;
        yield event;
      }
      return;
    } catch (error) {
      if (hasGiven || !isBeyondTheProxy(error)) throw error;
    }
    this.#options.metrics.increment("colonnade_gathers_total", { kind: "overflow" });
    const describe = request.describe && !isDescribed;
    yield* this.#run({ ...request, plan: overflow, describe }, transaction, signal);
  }

  #inDatabase(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    this.#options.metrics.increment("colonnade_gathers_total", { kind: "database" });
    const endAfter = (error: unknown): ScatterEnd => endOf(request.plan, error);
    const parts = { backends: this.#backends, options: this.#options, transaction, signal };
    return databaseGather(request, { ...parts, endAfter });
  }

  async *#single(
    request: ExecutionRequest,
    fragment: Fragment,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    const { snapshot } = request.plan;
    const participant = await transaction?.join(fragment.database, signal, snapshot);
    const connection =
      participant?.connection ?? (await this.#backends.acquire(fragment.database, signal));
    try {
      // Cancelled before there was anything that a server could be asked to stop.
      signal.throwIfAborted();
      // Described even where the client does not read it: the rows must be those it was told of.
      const { returnsRows, access } = request.plan;
      const text = fragmentRequest(fragment, request.protocol, returnsRows, this.#options);
      if (access === "write") markWritten(participant, undefined);
      for await (const event of runFragment(connection, text)) {
        if (event.kind === "columns") {
          settleColumns(event.columns, request, participant);
          if (request.describe) yield { ...event, columns: request.output ?? event.columns };
        } else yield event;
        if (event.kind === "complete" && access === "write") markWritten(participant, event.tag);
      }
    } catch (error) {
      const commitsItself = participant === undefined && request.plan.access === "write";
      throw commitsItself ? unknownWhereLost(error, connection.database) : error;
    } finally {
      if (participant === undefined) this.#backends.release(connection);
    }
  }

  async *#several(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    const { plan } = request;
    if (plan.returnsRows)
      this.#options.metrics.increment("colonnade_gathers_total", { kind: "streamed" });
    const notices = new Notices();
    const scatter = await this.#open(request, transaction, signal, notices);
    let end: ScatterEnd = "failed";
    try {
      await startAll(plan, scatter.databases, signal);
      if (request.describe && plan.returnsRows) {
        yield { kind: "columns", columns: request.output ?? [] };
      }
      let count = 0;
      const isCopied = plan.gather.kind === "gather" && plan.gather.gather.kind === "merge";
      for await (const rows of this.#rows(request, scatter.databases)) {
        yield* notices.take();
        count += rows.count;
        yield { kind: "rows", rows };
        if (isCopied) countBuffers(rows.bytes.length);
      }
      const tag = await this.#tag(plan, scatter.databases, count);
      await scatter.close("done");
      yield* notices.take();
      yield { kind: "complete", tag };
      end = "done";
    } catch (error) {
      end = endOf(plan, error);
      throw error;
    } finally {
      await scatter.close(end);
    }
  }

  #open(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
    notices: Notices,
  ): Promise<Scatter> {
    const { access, fragments, returnsRows } = request.plan;
    const protocol = this.#shardProtocol(request);
    return Scatter.open(
      fragments.map((fragment) => ({
        fragment,
        request: fragmentRequest(fragment, protocol, returnsRows, this.#options),
      })),
      {
        backends: this.#backends,
        transaction,
        catalog: this.#options.catalog,
        access,
        isOneSnapshot: false,
        onNotice: (bytes) => notices.add(bytes),
        signal,
      },
    );
  }

  /** The client's formats for its own columns, text for what only the gather reads. */
  #shardProtocol({ protocol, plan, output }: ExecutionRequest): FragmentProtocol {
    if (protocol.kind === "simple") return protocol;
    if (plan.gather.kind !== "gather") return protocol;
    const { gather } = plan.gather;
    if (gather.kind === "aggregate") return { ...protocol, resultFormats: [] };
    if (gather.kind !== "merge" || gather.hiddenColumns === 0) return protocol;
    const visible = (output ?? []).map((_, index) => formatAt(protocol.resultFormats, index));
    return {
      ...protocol,
      resultFormats: [
        ...visible,
        ...Array.from({ length: gather.hiddenColumns }, () => "text" as const),
      ],
    };
  }

  #rows(
    { plan, output }: ExecutionRequest,
    databases: readonly DatabaseRows[],
  ): AsyncIterable<DataRowRun> {
    const columns = output ?? [];
    if (!plan.returnsRows) return none();
    if (plan.gather.kind === "insertOrder") {
      return insertOrderRows(
        databases.flatMap(({ results }) =>
          results.map((rows) => ({ rows, rowIndexes: rows.rowIndexes ?? [] })),
        ),
        { bytesMax: GATHER_BYTES_MAX, mayDropRows: plan.gather.mayDropRows },
      );
    }
    invariant(plan.gather.kind === "gather", "several fragments are gathered");
    const bound = plan.gather;
    // A merge needs the head of each placement's rows; for all others a database's fragments are one stream.
    const shards =
      bound.gather.kind === "merge"
        ? databases.flatMap(({ results }) => results)
        : databases.map((database) => database.chained());
    return gatherRows(bound, shards, columns, {
      types: this.#options.types,
      bytesMax: GATHER_BYTES_MAX,
    });
  }

  async #tag(
    plan: PhysicalPlan,
    databases: readonly DatabaseRows[],
    count: number,
  ): Promise<string> {
    if (plan.access === "read") return `SELECT ${count}`;
    await Promise.all(databases.map((database) => database.finish()));
    const tags = databases.flatMap(({ results }) => results.map(({ tag }) => tag ?? ""));
    return combineCommandTags(
      plan.gather.kind === "gather" ? plan.gather.gather.kind : "counts",
      tags,
    );
  }
}

/** As a COMMIT of its own whose answer is lost: it may be told from one that failed, and must not be retried blindly. */
export function unknownWhereLost(error: unknown, database: DatabaseName): unknown {
  if (!(error instanceof SqlError) || error.id !== "backend_lost") return error;
  return new SqlError(
    "transaction_in_doubt",
    `connection to database "${database}" was lost before it answered; the statement may have taken effect`,
    { cause: error },
  );
}

/**
 * Columns of the extended protocol were described earlier, perhaps before a table changed:
 * rows of other columns must never reach the client under those names.
 */
function settleColumns(
  columns: readonly ColumnDescription[],
  { output, plan, protocol }: ExecutionRequest,
  participant: Participant | undefined,
): void {
  if (output === undefined) return;
  const isAsTold =
    columns.length === output.length &&
    columns.every(({ name, typeOid }, index) => {
      const told = output[index];
      return told?.name === name && told.typeOid === typeOid;
    });
  if (isAsTold) return;
  if (protocol.kind === "extended" && protocol.onOtherColumns !== undefined)
    return protocol.onOtherColumns(columns);
  if (plan.access === "write" && participant === undefined) {
    throw new SqlError(
      "transaction_in_doubt",
      "the statement may have taken effect, but its columns have changed since it was prepared",
    );
  }
  throw new SqlError("cached_plan_changed", "cached plan must not change result type");
}

/**
 * Readers start together. Writers lock as they go, so they go one after the other, in lock
 * order: two that met in another order in each database would wait for each other for ever.
 */
async function startAll(
  { access }: PhysicalPlan,
  databases: readonly DatabaseRows[],
  signal: AbortSignal,
): Promise<void> {
  for (const database of databases) {
    signal.throwIfAborted();
    if (access === "read") database.start();
    else await database.load();
  }
}

async function* none(): AsyncGenerator<DataRowRun> {}

/** A plan that another can take the place of must leave the client's transaction as it was. */
function endOf({ overflow }: PhysicalPlan, error: unknown): ScatterEnd {
  return overflow !== undefined && isBeyondTheProxy(error) ? "stopped" : "failed";
}
