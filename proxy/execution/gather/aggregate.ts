/**
 * Groups the shards' partial rows again and combines their partial aggregates; without
 * aggregates it is DISTINCT. All groups are held until the last partial row is in, within
 * `bytesMax`, but for a DISTINCT without ORDER BY, which gives each row when it first comes.
 *
 * Partial rows are in text format. Without GROUP BY there is one group, whatever comes.
 */
import { invariant } from "../../../base/invariant.ts";
import { GATHER_GROUP_OVERHEAD_BYTES } from "../../../base/limits.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { Gather } from "../../../planner/logical-plan.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import type { DataRowRun, ShardRows } from "../shard-rows.ts";
import type { Accumulator } from "./accumulator.ts";
import { interleavedRuns } from "./concat.ts";
import { copyField, fieldSpans, locateFields, rowEnd, RunWriter } from "./data-row.ts";
import type { FieldSpans } from "./data-row.ts";
import { planOutput } from "./output-plan.ts";
import type { OutputPlan } from "./output-plan.ts";
import type { RowWindow } from "./row-window.ts";
import { checkSameColumns } from "./shard-columns.ts";
import { readFieldValues, sortOrder } from "./sort-order.ts";
import type { SortOrder } from "./sort-order.ts";
import { valueTypeOf } from "./values/type-lookup.ts";
import type { AnyValueType, GatherTypes } from "./values/type-lookup.ts";

export interface AggregateRequest {
  readonly shards: readonly ShardRows[];
  readonly gather: Extract<Gather, { kind: "aggregate" }>;
  readonly output: readonly ColumnDescription[];
  readonly window: RowWindow;
  readonly types: GatherTypes;
  readonly bytesMax: number;
}

export async function* aggregateRows(request: AggregateRequest): AsyncGenerator<DataRowRun> {
  const { shards, window } = request;
  let groups: Groups | undefined;
  const runs = interleavedRuns(shards, (shard, columns) => {
    groups ??= new Groups(request, columns);
    checkSameColumns(shard, columns, groups.columns);
  });
  const writer = new RunWriter();
  for await (const { run } of runs) {
    for (const group of groups?.addRun(run.bytes) ?? []) {
      if (window.admit()) groups?.write(group, writer);
      if (window.isSatisfied) break;
      if (writer.isFull) yield* taken(writer);
    }
    yield* taken(writer);
    if (window.isSatisfied) return;
  }

  invariant(groups !== undefined, "a gather has a shard, whose columns are known before its rows");
  for (const group of groups.heldInOrder()) {
    if (window.isSatisfied) break;
    if (window.admit()) groups.write(group, writer);
    if (writer.isFull) yield* taken(writer);
  }
  yield* taken(writer);
}

function* taken(writer: RunWriter): Generator<DataRowRun> {
  const run = writer.take();
  if (run !== undefined) yield run;
}

interface Group {
  /** The first partial row's values of the outputs that are group columns; undefined at the others. */
  readonly values: readonly (Buffer | null | undefined)[];
  /** At the outputs that combine; undefined at the others. */
  readonly accumulators: readonly (Accumulator | undefined)[];
}

interface GroupColumn {
  readonly column: number;
  readonly type: AnyValueType;
}

class Groups {
  readonly columns: readonly ColumnDescription[];
  readonly #request: AggregateRequest;
  readonly #groupBy: readonly GroupColumn[];
  readonly #outputs: readonly OutputPlan[];
  readonly #order: SortOrder;
  /** Nothing that a later row could change, and no order: a group is the client's at once. */
  readonly #isImmediate: boolean;
  readonly #groups = new Map<string, Group>();
  readonly #spans: FieldSpans;
  #heldBytes = 0;

  constructor(request: AggregateRequest, columns: readonly ColumnDescription[]) {
    const { gather, output, types } = request;
    invariant(
      columns.every(({ format }) => format === "text"),
      "partial rows come in text format",
    );
    invariant(
      gather.outputs.length === output.length + gather.hiddenOutputs,
      "an aggregate has an output for each column of the client",
    );
    this.#request = request;
    this.columns = columns;
    // Groups need no order: under the collations that the planner lets through, equal is equal bytes.
    this.#groupBy = gather.groupBy.map(({ column }) => ({
      column,
      type: valueTypeOf(columns[column] as ColumnDescription, "byte order", types),
    }));
    this.#outputs = gather.outputs.map((one, index) =>
      planOutput(one, columns, output[index], types),
    );
    const sort = gather.sort.map(({ output: column, ...key }) => ({ column, ...key }));
    const outputColumns = this.#outputs.map(({ column }) => column);
    this.#order = sortOrder(sort, outputColumns, types);
    this.#isImmediate =
      gather.groupBy.length > 0 &&
      sort.length === 0 &&
      gather.outputs.every(({ kind }) => kind === "group");
    this.#spans = fieldSpans(columns.length);
    if (gather.groupBy.length === 0) this.#groups.set("", this.#newGroup(undefined));
  }

  /** Takes a run's partial rows in; gives the groups that are complete. */
  *addRun(bytes: Buffer): Generator<Group> {
    for (let start = 0; start < bytes.length;) {
      const end = rowEnd(bytes, start);
      locateFields(bytes, start, end, this.#spans);
      const isNew = this.#addRow(bytes);
      if (isNew !== undefined && this.#isImmediate) yield isNew;
      start = end;
    }
  }

  /** All groups that were not given before, as ORDER BY wants them. */
  heldInOrder(): Iterable<Group> {
    if (this.#isImmediate) return [];
    const groups = this.#groups.values();
    if (this.#order.keys.length === 0) return groups;
    const ranked = Array.from(groups, (group) => ({
      group,
      values: readFieldValues(this.#order, this.#texts(group)),
    }));
    ranked.sort((a, b) => this.#order.compare(a.values, b.values));
    return ranked.map(({ group }) => group);
  }

  write(group: Group, writer: RunWriter): void {
    const visible = this.#request.output.length;
    const texts = this.#texts(group).slice(0, visible);
    writer.appendFields(
      texts.map((text, index) =>
        text === null ? null : (this.#outputs[index]?.encode(text) ?? null),
      ),
    );
  }

  /** Gives the group where the row is its first. */
  #addRow(bytes: Buffer): Group | undefined {
    const identity = this.#identity(bytes);
    const known = this.#groups.get(identity);
    const group = known ?? this.#newGroup(bytes);
    if (known === undefined) {
      this.#groups.set(identity, group);
      this.#hold(GATHER_GROUP_OVERHEAD_BYTES * this.#outputs.length + 2 * identity.length);
      for (const value of group.values) this.#hold(value?.length ?? 0);
    }
    for (const [index, accumulator] of group.accumulators.entries()) {
      if (accumulator === undefined) continue;
      const source = this.#outputs[index]?.source;
      const partials = source?.kind === "combine" ? source.columns : [];
      const before = accumulator.heldBytes;
      accumulator.add(partials.map((column) => this.#view(bytes, column)));
      this.#hold(accumulator.heldBytes - before);
    }
    return known === undefined ? group : undefined;
  }

  #newGroup(bytes: Buffer | undefined): Group {
    return {
      values: this.#outputs.map(({ source }) => {
        if (source.kind !== "group") return undefined;
        return bytes === undefined ? null : copyField(bytes, this.#spans, source.column);
      }),
      accumulators: this.#outputs.map(({ source }) =>
        source.kind === "combine" ? source.accumulate() : undefined,
      ),
    };
  }

  /** NULLs are one group (`IS NOT DISTINCT FROM`). Lengths keep neighbouring values apart. */
  #identity(bytes: Buffer): string {
    let identity = "";
    for (const { column, type } of this.#groupBy) {
      const start = this.#spans.starts[column] ?? 0;
      const length = this.#spans.lengths[column] ?? -1;
      if (length === -1) {
        identity += "N";
        continue;
      }
      const value = type.identity(type.readText(bytes, start, start + length));
      identity += `${value.length}:${value}`;
    }
    return identity;
  }

  #view(bytes: Buffer, column: number): Buffer | null {
    const start = this.#spans.starts[column] ?? 0;
    const length = this.#spans.lengths[column] ?? -1;
    return length === -1 ? null : bytes.subarray(start, start + length);
  }

  #texts(group: Group): (Buffer | null)[] {
    return this.#outputs.map(
      (_, index) => group.accumulators[index]?.result() ?? group.values[index] ?? null,
    );
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    const { bytesMax } = this.#request;
    if (this.#heldBytes <= bytesMax) return;
    throw new SqlError(
      "gather_memory_exceeded",
      `groups of several placements need more than ${bytesMax} bytes`,
      { detail: `${this.#groups.size} groups were held.` },
    );
  }
}
