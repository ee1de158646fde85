/**
 * avg, variance and standard deviation of values that lie on several placements, made of
 * each placement's count, sum and sum of squares.
 *
 * Whole numbers and numeric are exact, to the digit that PostgreSQL prints (numeric.c,
 * numeric_stddev_internal). Floats are put together as PostgreSQL's parallel workers do it
 * (float.c, float8_combine), so their last digits hang on which rows were added first, as
 * they do in one server; a group that lies on one placement is that placement's to the bit.
 */
import type { Combine } from "../../../planner/logical-plan.ts";
import {
  float8Arithmetic,
  floatOverflow,
  integerAddition,
  numericArithmetic,
} from "./accumulator.ts";
import type { Accumulator } from "./accumulator.ts";
import { nextFloat8 } from "./values/float-text.ts";
import { addNumeric, divideNumeric, numericSquareRoot } from "./values/numeric.ts";
import type { Numeric } from "./values/numeric.ts";
import { unreadable } from "./values/value-type.ts";

export type Moment = Extract<Combine, "varSamp" | "varPop" | "stddevSamp" | "stddevPop">;

const ZERO: Numeric = { kind: "finite", unscaled: 0n, scale: 0 };
const NOT_A_NUMBER: Numeric = { kind: "NaN" };

/** Of partial (sum, count, sum of squares), the last with twice the sum's scale: nothing was rounded. */
export class NumericMomentAccumulator implements Accumulator {
  readonly #moment: Moment;
  #count = 0n;
  #sum = ZERO;
  #squares = ZERO;

  constructor(moment: Moment) {
    this.#moment = moment;
  }

  get heldBytes(): number {
    return numericArithmetic.heldBytes(this.#sum) + numericArithmetic.heldBytes(this.#squares);
  }

  add([sumText, countText, squaresText]: readonly (Buffer | null)[]): void {
    if (!sumText || !countText || !squaresText) return;
    const sum = numericArithmetic.read(sumText);
    const squares = numericArithmetic.read(squaresText);
    if (sum.kind === "finite" && squares.kind === "finite" && squares.scale !== 2 * sum.scale) {
      // Squares of more than 16383 decimals, which numeric rounds away.
      throw unreadable("numeric");
    }
    this.#count += integerAddition.read(countText);
    this.#sum = addNumeric(this.#sum, sum);
    this.#squares = addNumeric(this.#squares, squares);
  }

  result(): Buffer | null {
    const count = this.#count;
    const isSample = isOfSample(this.#moment);
    if (count === 0n || (isSample && count === 1n)) return null;
    return Buffer.from(numericArithmetic.write(this.#ofValues(count, isSample)));
  }

  #ofValues(count: bigint, isSample: boolean): Numeric {
    const sum = this.#sum;
    const squares = this.#squares;
    if (sum.kind !== "finite" || squares.kind !== "finite") return NOT_A_NUMBER;
    const unscaled = count * squares.unscaled - sum.unscaled * sum.unscaled;
    if (unscaled <= 0n) return ZERO;
    const spread: Numeric = { kind: "finite", unscaled, scale: squares.scale };
    const variance = divideNumeric(spread, count * (isSample ? count - 1n : count));
    return isSquareRoot(this.#moment) ? numericSquareRoot(variance) : variance;
  }
}

/** Of partial (sum, count, variance), the variance with the moment's own divisor: var_pop for avg. */
export class FloatMomentAccumulator implements Accumulator {
  readonly heldBytes = 0;
  readonly #moment: Moment | "average";
  #count = 0;
  #sum = 0;
  /** Sum of the squared distances from the mean. */
  #spread = 0;

  constructor(moment: Moment | "average") {
    this.#moment = moment;
  }

  add([sumText, countText, varianceText]: readonly (Buffer | null)[]): void {
    if (!sumText || !countText) return;
    const { read, add } = float8Arithmetic;
    const sum = read(sumText);
    const count = Number(integerAddition.read(countText));
    // A sample of one value has no variance; it is spread over nothing, or is no number.
    const spread = varianceText
      ? spreadOf(read(varianceText), this.#divisor(count))
      : Number.isFinite(sum)
        ? 0
        : Number.NaN;
    if (this.#count === 0) {
      this.#count = count;
      this.#sum = sum;
      this.#spread = spread;
      return;
    }
    const whole = this.#count + count;
    const apart = this.#sum / this.#count - sum / count;
    this.#sum = add(this.#sum, sum);
    // In PostgreSQL's order of operations, for its roundings.
    this.#spread = this.#spread + spread + (this.#count * count * apart * apart) / whole;
    if (this.#spread === Number.POSITIVE_INFINITY) throw floatOverflow();
    this.#count = whole;
  }

  result(): Buffer | null {
    const divisor = this.#divisor(this.#count);
    if (divisor <= 0) return null;
    if (this.#moment === "average") return Buffer.from(float8Arithmetic.write(this.#sum / divisor));
    const variance = this.#spread / divisor;
    const value = isSquareRoot(this.#moment) ? Math.sqrt(variance) : variance;
    return Buffer.from(float8Arithmetic.write(value));
  }

  #divisor(count: number): number {
    return isOfSample(this.#moment) ? count - 1 : count;
  }
}

/**
 * The sum of squared distances that a variance was divided from: the number that gives the
 * very same variance again. Rounding may put the product next to it, not further.
 */
function spreadOf(variance: number, divisor: number): number {
  const product = variance * divisor;
  if (product === 0 || product / divisor === variance || Number.isNaN(product)) return product;
  const near = [nextFloat8(product, false), nextFloat8(product, true)];
  return near.find((candidate) => candidate / divisor === variance) ?? product;
}

function isOfSample(moment: Moment | "average"): boolean {
  return moment === "varSamp" || moment === "stddevSamp";
}

function isSquareRoot(moment: Moment | "average"): boolean {
  return moment === "stddevSamp" || moment === "stddevPop";
}
