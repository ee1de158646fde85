/**
 * How each output of an aggregate is made from the shards' columns: its type, a fresh
 * accumulator for a group, and its bytes in the client's format.
 */
import { SqlError } from "../../../base/sql-error.ts";
import { unreachable } from "../../../base/invariant.ts";
import type { AggregateOutput } from "../../../planner/logical-plan.ts";
import type { ColumnDescription } from "../../protocol/backend/row-description.ts";
import * as accumulators from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import * as moments from "./moments.ts";
import { valueTypeOf } from "./values/type-lookup.ts";
import type { GatherTypes } from "./values/type-lookup.ts";
import { TYPE_OID } from "./values/type-oids.ts";

export interface OutputPlan {
  /** The whole's type; always in text format. */
  readonly column: ColumnDescription;
  readonly source:
    | { readonly kind: "group"; readonly column: number }
    | {
        readonly kind: "combine";
        readonly columns: readonly number[];
        readonly accumulate: () => Accumulator;
      };
  /** From text to what the client asked for. */
  readonly encode: (text: Buffer) => Buffer;
}

type CombineOutput = Extract<AggregateOutput, { kind: "combine" }>;

/** Throws where the output's type has no rules here, or is another than the client was told. */
export function planOutput(
  output: AggregateOutput,
  columns: readonly ColumnDescription[],
  /** Undefined for an output that is only sorted by. */
  client: ColumnDescription | undefined,
  types: GatherTypes,
): OutputPlan {
  const first = output.kind === "group" ? output.column : output.columns[0];
  const partial = columns[first ?? -1] as ColumnDescription;
  const column = { ...partial, typeOid: resultType(output, partial) };
  // First of all refuses what cannot be combined: its result's type is not known here.
  const source: OutputPlan["source"] =
    output.kind === "group"
      ? output
      : {
          kind: "combine",
          columns: output.columns,
          accumulate: accumulatorOf(output, partial, types),
        };
  if (client !== undefined && client.typeOid !== column.typeOid) {
    throw new SqlError(
      "placement_columns_differ",
      `column "${client.name}" combines to another type than it has`,
      {
        detail: `The type has OID ${client.typeOid}, what the placements answer OID ${column.typeOid}.`,
      },
    );
  }
  return {
    column,
    source,
    // Another format needs no collation: only the bytes are put differently.
    encode:
      client?.format === "binary"
        ? valueTypeOf(column, "byte order", types).textToBinary
        : (text) => text,
  };
}

/** The input's type is known by its partial sum: integers add up to bigint, and bigint to numeric. */
function resultType(output: AggregateOutput, partial: ColumnDescription): number {
  if (output.kind === "group") return partial.typeOid;
  switch (output.combine) {
    case "average":
    case "varSamp":
    case "varPop":
    case "stddevSamp":
    case "stddevPop":
      return partial.typeOid === TYPE_OID.int8 ? TYPE_OID.numeric : partial.typeOid;
    default:
      return partial.typeOid;
  }
}

function accumulatorOf(
  { combine, collation, columns }: CombineOutput,
  partial: ColumnDescription,
  types: GatherTypes,
): () => Accumulator {
  switch (combine) {
    case "count":
      return () => new accumulators.CountAccumulator();
    case "sum":
      return sumOf(partial, types);
    case "average":
      return averageOf(partial, columns.length, types);
    case "varSamp":
    case "varPop":
    case "stddevSamp":
    case "stddevPop":
      return momentOf(combine, partial, types);
    case "anyValue":
      return () => new accumulators.AnyValueAccumulator();
    case "min":
    case "boolAnd":
    case "max":
    case "boolOr": {
      const type = valueTypeOf(partial, collation, types);
      const direction = combine === "max" || combine === "boolOr" ? 1 : -1;
      return () => new accumulators.ExtremeAccumulator(type, direction);
    }
    case "bitAnd":
      return bitsOf(partial, (a, b) => a & b);
    case "bitOr":
      return bitsOf(partial, (a, b) => a | b);
    case "bitXor":
      return bitsOf(partial, (a, b) => a ^ b);
    default:
      return unreachable(combine);
  }
}

function sumOf(partial: ColumnDescription, types: GatherTypes): () => Accumulator {
  // For its refusals: floats that are sent rounded cannot be added.
  valueTypeOf(partial, "unknown", types);
  switch (partial.typeOid) {
    case TYPE_OID.int8:
      return () => new accumulators.SumAccumulator(accumulators.integerAddition);
    case TYPE_OID.numeric:
      return () => new accumulators.SumAccumulator(accumulators.numericArithmetic);
    case TYPE_OID.float4:
      return () => new accumulators.SumAccumulator(accumulators.float4Arithmetic);
    case TYPE_OID.float8:
      return () => new accumulators.SumAccumulator(accumulators.float8Arithmetic);
    case TYPE_OID.interval:
      return () => new accumulators.SumAccumulator(accumulators.intervalArithmetic);
    default:
      throw notCombined(partial);
  }
}

/**
 * PostgreSQL averages real in double precision, and floats along with their variance, whose
 * overflow is an error of avg too: without the variance, floats are refused.
 */
function averageOf(
  partial: ColumnDescription,
  partialCount: number,
  types: GatherTypes,
): () => Accumulator {
  valueTypeOf(partial, "unknown", types);
  switch (partial.typeOid) {
    case TYPE_OID.int8:
    case TYPE_OID.numeric:
      return () => new accumulators.AverageAccumulator(accumulators.numericArithmetic);
    case TYPE_OID.float8:
      if (partialCount < 3) throw notCombined(partial);
      return () => new moments.FloatMomentAccumulator("average");
    case TYPE_OID.interval:
      return () => new accumulators.AverageAccumulator(accumulators.intervalArithmetic);
    default:
      throw notCombined(partial);
  }
}

function momentOf(
  moment: moments.Moment,
  partial: ColumnDescription,
  types: GatherTypes,
): () => Accumulator {
  valueTypeOf(partial, "unknown", types);
  switch (partial.typeOid) {
    case TYPE_OID.int8:
    case TYPE_OID.numeric:
      return () => new moments.NumericMomentAccumulator(moment);
    case TYPE_OID.float8:
      return () => new moments.FloatMomentAccumulator(moment);
    default:
      throw notCombined(partial);
  }
}

function bitsOf(
  partial: ColumnDescription,
  combine: (a: bigint, b: bigint) => bigint,
): () => Accumulator {
  switch (partial.typeOid) {
    case TYPE_OID.int2:
    case TYPE_OID.int4:
    case TYPE_OID.int8:
      return () => new accumulators.BitsAccumulator(combine);
    case TYPE_OID.bit:
      return () => new accumulators.BitStringsAccumulator(combine);
    default:
      throw notCombined(partial);
  }
}

function notCombined(partial: ColumnDescription): SqlError {
  return new SqlError(
    "gather_type_unsupported",
    `column "${partial.name}" cannot be combined over several placements`,
    { hint: "Pin the shard key, or cast the aggregate's argument to numeric." },
  );
}
