/**
 * Runs a physical plan: takes backends, puts the fragments to them, and gives the client's
 * one stream of results. It decides nothing about routing and knows no client.
 */
import { invariant } from "../../base/invariant.ts";
import { GATHER_BYTES_MAX } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { formatAt } from "../protocol/frontend/bind.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import { DatabaseRows } from "./database-rows.ts";
import type { FragmentProtocol, FragmentRequest, OidTranslation } from "./fragment-request.ts";
import { combineCommandTags, gatherRows, insertOrderRows } from "./gather/gather.ts";
import type { GatherTypes } from "./gather/gather.ts";
import { inLockOrder } from "./lock-order.ts";
import type { ResultEvent, ResultStream } from "./result-event.ts";
import { runFragment } from "./run-fragment.ts";
import type { SessionBackends } from "./session-backends.ts";
import type { DataRowRun } from "./shard-rows.ts";
import type { Participant, Transaction } from "./transaction.ts";

export interface ExecutionRequest {
  readonly plan: PhysicalPlan;
  readonly protocol: FragmentProtocol;
  /** The client's columns in its formats; needed where several placements answer with rows. */
  readonly output: readonly ColumnDescription[] | undefined;
  /** Whether the client reads column descriptions with the rows (simple protocol). */
  readonly describe: boolean;
}

export interface ExecutorOptions {
  readonly translation: (database: DatabaseName) => OidTranslation;
  readonly types: GatherTypes;
  readonly catalogEpoch: number;
  readonly catalog: DatabaseName;
}

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
    const [only] = request.plan.fragments;
    invariant(only !== undefined, "a physical plan has a fragment");
    if (request.plan.gather.kind === "passThrough")
      return this.#single(request, only, transaction, signal);
    invariant(
      transaction !== undefined || request.plan.access === "read",
      "a write of several fragments runs in a transaction",
    );
    return this.#several(request, transaction, signal);
  }

  async *#single(
    request: ExecutionRequest,
    fragment: Fragment,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    const participant = await transaction?.join(fragment.database, signal);
    const connection =
      participant?.connection ?? (await this.#backends.acquire(fragment.database, signal));
    try {
      const fragmentRequest = this.#request(request, fragment, request.protocol);
      if (request.plan.access === "write") markWritten(participant, undefined);
      for await (const event of runFragment(connection, fragmentRequest)) {
        if (event.kind === "columns") checkTold(event.columns, request, participant);
        if (request.describe || event.kind !== "columns") yield event;
        if (event.kind === "complete" && request.plan.access === "write")
          markWritten(participant, event.tag);
      }
    } finally {
      if (participant === undefined) this.#backends.release(connection);
    }
  }

  #request(
    request: ExecutionRequest,
    fragment: Fragment,
    protocol: FragmentProtocol,
  ): FragmentRequest {
    const types =
      protocol.kind === "extended" ? protocol.parameters.map(({ typeOid }) => typeOid) : [];
    const translation = this.#options.translation(fragment.database);
    return {
      rendered: fragment.rendered,
      protocol,
      catalogEpoch: this.#options.catalogEpoch,
      translation,
      parameterTypes: translation.parameterTypes(types),
      // Asked for even where the client does not read it: the rows must be those it was told of.
      describe: request.plan.returnsRows,
    };
  }

  async *#several(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
  ): ResultStream {
    const notices = new Notices();
    const scatter = await this.#open(request, transaction, signal, notices);
    let isDone = false;
    try {
      await startAll(request.plan, scatter.databases);
      if (request.describe && request.plan.returnsRows) {
        yield { kind: "columns", columns: request.output ?? [] };
      }
      let count = 0;
      for await (const rows of this.#rows(request, scatter.databases)) {
        yield* notices.take();
        count += rows.count;
        yield { kind: "rows", rows };
      }
      const tag = await this.#tag(request.plan, scatter.databases, count);
      yield* notices.take();
      yield { kind: "complete", tag };
      isDone = true;
    } finally {
      await scatter.close(isDone);
    }
  }

  /** One backend a database, always taken in the same order, so that statements never wait for each other in a circle. */
  async #open(
    request: ExecutionRequest,
    transaction: Transaction | undefined,
    signal: AbortSignal,
    notices: Notices,
  ): Promise<{ databases: readonly DatabaseRows[]; close: (isDone: boolean) => Promise<void> }> {
    const byDatabase = Map.groupBy(request.plan.fragments, ({ database }) => database);
    const opened: {
      connection: BackendConnection;
      participant: Participant | undefined;
      rows: DatabaseRows;
    }[] = [];
    const protocol = this.#shardProtocol(request);
    try {
      for (const database of inLockOrder([...byDatabase.keys()], this.#options.catalog)) {
        // Made before its backend is taken: a type that the database lacks is refused here.
        const fragments = (byDatabase.get(database) ?? []).map((fragment) => ({
          placementId: fragment.placementIds.join(", "),
          request: this.#request(request, fragment, protocol),
          rowIndexes: fragment.rowIndexes,
        }));
        const participant = await transaction?.join(database, signal);
        if (request.plan.access === "write") markWritten(participant, undefined);
        const connection =
          participant?.connection ?? (await this.#backends.acquire(database, signal));
        const rows = new DatabaseRows(connection, fragments, (bytes) => notices.add(bytes));
        opened.push({ connection, participant, rows });
      }
    } catch (error) {
      for (const { connection, participant } of opened)
        if (participant === undefined) this.#backends.release(connection);
      throw error;
    }
    return {
      databases: opened.map(({ rows }) => rows),
      close: async (isDone) => {
        if (isDone)
          for (const { participant, rows } of opened)
            markAll(participant, rows, request.plan.access);
        const closing = opened.map(async ({ connection, participant, rows }) => {
          await rows.abandon(transaction === undefined || !isDone);
          if (participant === undefined) this.#backends.release(connection);
        });
        await Promise.all(closing);
      },
    };
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
        { bytesMax: GATHER_BYTES_MAX },
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

/**
 * Columns of the extended protocol were described earlier, perhaps before a table changed:
 * rows of other columns must never reach the client under those names.
 */
function checkTold(
  columns: readonly ColumnDescription[],
  { output, plan }: ExecutionRequest,
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
): Promise<void> {
  if (access === "read") for (const database of databases) database.start();
  else for (const database of databases) await database.load();
}

async function* none(): AsyncGenerator<DataRowRun> {}

/** Notices of all shards, in the order they came, until the next rows give them a place to go. */
class Notices {
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

function markAll(
  participant: Participant | undefined,
  rows: DatabaseRows,
  access: PhysicalPlan["access"],
): void {
  if (access !== "write") return;
  for (const { tag } of rows.results) markWritten(participant, tag);
}

/** "UPDATE 0" leaves open whether a trigger wrote; anything that is not a count of zero has written. */
function markWritten(participant: Participant | undefined, tag: string | undefined): void {
  if (participant === undefined || participant.wrote === "yes") return;
  participant.wrote = tag === undefined || tag.endsWith(" 0") ? "maybe" : "yes";
}
