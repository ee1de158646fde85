/**
 * Runs EXPLAIN. What one database answers is relayed as it comes. Over several, each is
 * asked by itself, one after the other, so that none is timed while others take its disks
 * and processors; then the client gets one explanation of the whole.
 */
import { GATHER_BYTES_MAX } from "../../base/limits.ts";
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { bindExplain, exampleDraws, type ExplainedNode } from "../../planner/bind-explain.ts";
import type { ExplainNode } from "../../planner/explain/explain-node.ts";
import { explainRows } from "../../planner/explain/formats/rows.ts";
import type { ExplainPlan, QueryPlan } from "../../planner/logical-plan.ts";
import type { InsertPlan } from "../../planner/insert/insert-plan.ts";
import { bindPlan, type PhysicalPlan } from "../../planner/physical-plan.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { Executor } from "../execution/executor.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";
import {
  copyField,
  fieldSpans,
  locateFields,
  rowEnd,
  RunWriter,
} from "../execution/gather/data-row.ts";
import { compareLockOrder } from "../execution/lock-order.ts";
import type { ResultEvent, ResultStream } from "../execution/result-event.ts";
import type { DataRowRun } from "../execution/shard-rows.ts";
import type { Transaction } from "../execution/transaction.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";

export interface ExplainRequest {
  readonly plan: ExplainPlan;
  readonly protocol: FragmentProtocol;
  readonly output: (signal: AbortSignal) => Promise<readonly ColumnDescription[] | undefined>;
  readonly describe: boolean;
}

/** What it needs of the session. */
export interface ExplainingSession {
  readonly map: ShardMap;
  /** Draws the values of an INSERT that is to run. */
  readonly bind: (
    plan: QueryPlan | InsertPlan,
    protocol: FragmentProtocol,
    signal: AbortSignal,
  ) => Promise<PhysicalPlan>;
  /** The transaction to run in; `needsBlock`: several databases are written. */
  readonly blockFor: (needsBlock: boolean) => Promise<Transaction | undefined>;
  readonly executor: () => Promise<Executor>;
}

export async function* runExplain(
  request: ExplainRequest,
  session: ExplainingSession,
  signal: AbortSignal,
): ResultStream {
  const { plan, protocol, describe } = request;
  const parameters = protocol.kind === "extended" ? protocol.parameters : [];
  const physical = plan.executes
    ? await session.bind(plan.plan, protocol, signal)
    : bindPlan(plan.plan, parameters, session.map, exampleDraws(plan.plan));
  const bound = bindExplain(plan, physical);
  const executor = await session.executor();
  if (bound.kind === "relayed") {
    const transaction = await session.blockFor(false);
    const output = protocol.kind === "extended" ? await request.output(signal) : undefined;
    yield* executor.execute({ plan: bound.plan, protocol, output, describe }, transaction, signal);
    return;
  }
  const transaction = await session.blockFor(plan.access === "write");
  const output = (await request.output(signal)) ?? [];
  const documents = new Map<ExplainedNode, string>();
  const budget = new Budget();
  for (const { node, asks } of inLockOrder(asking(bound.root), session.map.catalog)) {
    const asked = { plan: asks, protocol: inTexts(protocol), output, describe: false };
    const lines: Buffer[] = [];
    for await (const event of executor.execute(asked, transaction, signal)) {
      if (event.kind === "notice") yield event;
      if (event.kind === "rows") lines.push(...budget.taken(firstFields(event.rows)));
    }
    documents.set(node, lines.join("\n"));
  }
  if (describe) yield { kind: "columns", columns: output };
  const root = withDocuments(bound.root, documents);
  yield* answered(explainRows(root, plan.format, plan.isVerbose));
}

class Budget {
  #bytes = 0;

  taken(lines: readonly Buffer[]): readonly Buffer[] {
    for (const { length } of lines) this.#bytes += length;
    if (this.#bytes > GATHER_BYTES_MAX)
      throw new SqlError("gather_memory_exceeded", "the databases' plans take too much memory");
    return lines;
  }
}

interface Asking {
  readonly node: ExplainedNode;
  readonly asks: PhysicalPlan;
}

function asking(node: ExplainedNode): readonly Asking[] {
  const below = node.groups.flatMap(({ nodes }) => nodes.flatMap(asking));
  return node.asks === undefined ? below : [{ node, asks: node.asks }, ...below];
}

function inLockOrder(all: readonly Asking[], catalog: DatabaseName): readonly Asking[] {
  const databaseOf = ({ asks }: Asking) => asks.fragments[0]?.database ?? catalog;
  return all.toSorted((left, right) =>
    compareLockOrder(databaseOf(left), databaseOf(right), catalog),
  );
}

/** In the client's format or not: the columns of EXPLAIN have the same bytes in both. */
function inTexts(protocol: FragmentProtocol): FragmentProtocol {
  return protocol.kind === "simple" ? protocol : { ...protocol, resultFormats: [] };
}

function firstFields({ bytes }: DataRowRun): readonly Buffer[] {
  const spans = fieldSpans(1);
  const fields: Buffer[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = rowEnd(bytes, start);
    locateFields(bytes, start, end, spans);
    fields.push(copyField(bytes, spans, 0) ?? Buffer.alloc(0));
    start = end;
  }
  return fields;
}

function withDocuments(
  node: ExplainedNode,
  documents: ReadonlyMap<ExplainedNode, string>,
): ExplainNode {
  const { title, properties, groups } = node;
  return {
    title,
    properties,
    document: documents.get(node),
    groups: groups.map((group) => ({
      ...group,
      nodes: group.nodes.map((child) => withDocuments(child, documents)),
    })),
  };
}

function* answered(rows: readonly string[]): Generator<ResultEvent> {
  const writer = new RunWriter();
  for (const row of rows) writer.appendFields([Buffer.from(row)]);
  const run = writer.take();
  if (run !== undefined) yield { kind: "rows", rows: run };
  yield { kind: "complete", tag: "EXPLAIN" };
}
