/**
 * What one aggregate of one group has seen: partial values go in as text, the whole comes
 * out as text. NULL partials are skipped, and an aggregate that saw none is NULL, but for
 * count. One kind for each way in which partial values combine.
 */
import { SqlError } from "../../../base/sql-error.ts";
import { addIntervals, divideInterval, formatInterval, parseInterval } from "./values/interval.ts";
import type { Interval } from "./values/interval.ts";
import { formatFloat4, formatFloat8 } from "./values/float-text.ts";
import { float4Type, float8Type } from "./values/floats.ts";
import {
  addNumeric,
  checkNumericRange,
  divideNumeric,
  formatNumeric,
  parseNumeric,
} from "./values/numeric.ts";
import type { Numeric } from "./values/numeric.ts";
import type { AnyValueType } from "./values/type-lookup.ts";

export interface Accumulator {
  /** One shard's partial values, as many as the aggregate has columns. */
  add(partials: readonly (Buffer | null)[]): void;
  /** Text format; null for NULL. */
  result(): Buffer | null;
  /** What is held of values whose size is the data's. */
  readonly heldBytes: number;
}

/** Reads, adds and writes one kind of number. */
export interface Addition<Value> {
  readonly read: (text: Buffer) => Value;
  readonly add: (a: Value, b: Value) => Value;
  /** Throws where the whole leaves the range of its type. */
  readonly write: (value: Value) => string;
  readonly heldBytes: (value: Value) => number;
}

export interface Arithmetic<Value> extends Addition<Value> {
  readonly divide: (sum: Value, count: bigint) => Value;
}

const INT8_MAX = 0x7fff_ffff_ffff_ffffn;
const INT8_MIN = -0x8000_0000_0000_0000n;

export const numericArithmetic: Arithmetic<Numeric> = {
  read: (text) => parseNumeric(text.toString("latin1")),
  add: addNumeric,
  divide: (sum, count) => divideNumeric(checkNumericRange(sum), count),
  write: (value) => formatNumeric(checkNumericRange(value)),
  heldBytes: (value) => (value.kind === "finite" ? bigintBytes(value.unscaled) : 0),
};

/** count, and sum of smallint and integer, which is bigint. */
export const integerAddition: Addition<bigint> = {
  read: (text) => BigInt(text.toString("latin1")),
  add: (a, b) => a + b,
  write: (value) => {
    if (value > INT8_MAX || value < INT8_MIN) {
      throw new SqlError("combined_value_out_of_range", "bigint out of range");
    }
    return String(value);
  },
  heldBytes: () => 0,
};

export const float8Arithmetic: Arithmetic<number> = {
  read: (text) => float8Type.readText(text, 0, text.length),
  add: (a, b) => checkedFloat(a + b, a, b),
  divide: (sum, count) => sum / Number(count),
  write: formatFloat8,
  heldBytes: () => 0,
};

export const float4Arithmetic: Arithmetic<number> = {
  ...float8Arithmetic,
  read: (text) => float4Type.readText(text, 0, text.length),
  add: (a, b) => checkedFloat(Math.fround(a + b), a, b),
  write: formatFloat4,
};

export const intervalArithmetic: Arithmetic<Interval> = {
  read: (text) => parseInterval(text.toString("latin1")),
  add: addIntervals,
  divide: (sum, count) => divideInterval(sum, Number(count)),
  write: formatInterval,
  heldBytes: () => 0,
};

/** What fits eight bytes is part of the group's overhead. */
function bigintBytes(value: bigint): number {
  const isSmall = value <= INT8_MAX && value >= INT8_MIN;
  return isSmall ? 0 : value.toString(16).length;
}

/** An infinity that neither operand was is an error. */
function checkedFloat(sum: number, a: number, b: number): number {
  if (Number.isFinite(sum) || !Number.isFinite(a) || !Number.isFinite(b)) return sum;
  throw floatOverflow();
}

/** float.c, float_overflow_error. */
export function floatOverflow(): SqlError {
  return new SqlError("combined_value_out_of_range", "value out of range: overflow");
}

export class CountAccumulator implements Accumulator {
  readonly heldBytes = 0;
  #count = 0n;

  add([count]: readonly (Buffer | null)[]): void {
    if (count) this.#count += integerAddition.read(count);
  }

  result(): Buffer {
    return Buffer.from(integerAddition.write(this.#count));
  }
}

export class SumAccumulator<Value> implements Accumulator {
  readonly #addition: Addition<Value>;
  #sum: Value | undefined;

  constructor(addition: Addition<Value>) {
    this.#addition = addition;
  }

  get heldBytes(): number {
    return this.#sum === undefined ? 0 : this.#addition.heldBytes(this.#sum);
  }

  add([partial]: readonly (Buffer | null)[]): void {
    if (!partial) return;
    const value = this.#addition.read(partial);
    this.#sum = this.#sum === undefined ? value : this.#addition.add(this.#sum, value);
  }

  result(): Buffer | null {
    return this.#sum === undefined ? null : Buffer.from(this.#addition.write(this.#sum));
  }
}

/** Of partial sums and the counts of the values in them; floats have more to tell, and another accumulator. */
export class AverageAccumulator<Value> implements Accumulator {
  readonly #arithmetic: Arithmetic<Value>;
  #sum: Value | undefined;
  #count = 0n;

  constructor(arithmetic: Arithmetic<Value>) {
    this.#arithmetic = arithmetic;
  }

  get heldBytes(): number {
    return this.#sum === undefined ? 0 : this.#arithmetic.heldBytes(this.#sum);
  }

  add([partial, count]: readonly (Buffer | null)[]): void {
    if (!partial || !count) return;
    const value = this.#arithmetic.read(partial);
    this.#sum = this.#sum === undefined ? value : this.#arithmetic.add(this.#sum, value);
    this.#count += integerAddition.read(count);
  }

  result(): Buffer | null {
    if (this.#sum === undefined || this.#count === 0n) return null;
    const { divide, write } = this.#arithmetic;
    return Buffer.from(write(divide(this.#sum, this.#count)));
  }
}

/** min, max, bool_and (the least boolean) and bool_or: the partial value itself is kept. */
export class ExtremeAccumulator implements Accumulator {
  readonly #type: AnyValueType;
  /** 1 keeps the greatest, -1 the least. */
  readonly #direction: 1 | -1;
  #kept: { readonly text: Buffer; readonly value: unknown } | undefined;

  constructor(type: AnyValueType, direction: 1 | -1) {
    this.#type = type;
    this.#direction = direction;
  }

  get heldBytes(): number {
    return 2 * (this.#kept?.text.length ?? 0);
  }

  add([text]: readonly (Buffer | null)[]): void {
    if (!text) return;
    const value = this.#type.readText(text, 0, text.length);
    const isFurther =
      this.#kept === undefined || this.#type.compare(value, this.#kept.value) * this.#direction > 0;
    // A copy, so that a small value does not keep its whole run.
    if (isFurther) this.#kept = { text: Buffer.from(text), value };
  }

  result(): Buffer | null {
    return this.#kept?.text ?? null;
  }
}

/** any_value: the first that comes and is not NULL. */
export class AnyValueAccumulator implements Accumulator {
  #kept: Buffer | undefined;

  get heldBytes(): number {
    return this.#kept?.length ?? 0;
  }

  add([text]: readonly (Buffer | null)[]): void {
    // A copy, so that a small value does not keep its whole run.
    if (text) this.#kept ??= Buffer.from(text);
  }

  result(): Buffer | null {
    return this.#kept ?? null;
  }
}

/** bit_and, bit_or and bit_xor of whole numbers: a bigint's bits go on for ever, so any width is right. */
export class BitsAccumulator implements Accumulator {
  readonly heldBytes = 0;
  readonly #combine: (a: bigint, b: bigint) => bigint;
  #bits: bigint | undefined;

  constructor(combine: (a: bigint, b: bigint) => bigint) {
    this.#combine = combine;
  }

  add([partial]: readonly (Buffer | null)[]): void {
    if (!partial) return;
    const bits = integerAddition.read(partial);
    this.#bits = this.#bits === undefined ? bits : this.#combine(this.#bits, bits);
  }

  result(): Buffer | null {
    return this.#bits === undefined ? null : Buffer.from(String(this.#bits));
  }
}

/** The same of bit strings, whose lengths PostgreSQL wants to be the same. */
export class BitStringsAccumulator implements Accumulator {
  readonly #combine: (a: bigint, b: bigint) => bigint;
  #kept: string | undefined;

  constructor(combine: (a: bigint, b: bigint) => bigint) {
    this.#combine = combine;
  }

  get heldBytes(): number {
    return this.#kept?.length ?? 0;
  }

  add([text]: readonly (Buffer | null)[]): void {
    if (!text) return;
    const digits = text.toString("latin1");
    const kept = this.#kept;
    if (kept !== undefined && kept.length !== digits.length) {
      throw new SqlError(
        "gather_type_unsupported",
        "bit strings of different sizes cannot be combined over several placements",
      );
    }
    this.#kept =
      kept === undefined
        ? digits
        : this.#combine(bitsOf(kept), bitsOf(digits)).toString(2).padStart(digits.length, "0");
  }

  result(): Buffer | null {
    return this.#kept === undefined ? null : Buffer.from(this.#kept);
  }
}

/** `0` in front, so that a bit string of no bits is a number too. */
function bitsOf(digits: string): bigint {
  return BigInt(`0b0${digits}`);
}
