/**
 * Whether an aim is reached, by what was measured. Ratios and differences are of slices of one turn,
 * so that what disturbed one side mostly disturbed the other, too. Pure.
 */
import type { Aim } from "./aims.ts";
import { FOREIGN_CORES_MAX, isDisturbed, QUANTITIES } from "./slice.ts";
import type { Quantity, Slice } from "./slice.ts";
import { formatSummary, summarize } from "./statistics.ts";
import type { Summary } from "./statistics.ts";

export type Verdict =
  | { readonly kind: "held" | "missed"; readonly summary: Summary }
  /** The median misses it, but not all of the middle half: the spread is too wide to say. */
  | { readonly kind: "near"; readonly summary: Summary }
  /** `all`: of the turns that say nothing for certain. */
  | { readonly kind: "unmeasured"; readonly because: string; readonly all?: Summary };

/** Of fewer quiet turns than this part of all, no middle is told. */
const QUIET_PART_MIN = 0.5;

export function judge(aim: Aim, slices: readonly Slice[]): Verdict {
  const compared = comparedTurns(aim, slices);
  if (typeof compared === "string") return { kind: "unmeasured", because: compared };
  const usable = QUANTITIES[aim.quantity].isTimed
    ? compared.filter(({ isQuiet }) => isQuiet)
    : compared;
  const summary = summarize(usable.map(({ value }) => value));
  if (summary === undefined || usable.length < QUIET_PART_MIN * compared.length) {
    const disturbed = compared.length - usable.length;
    const all = summarize(compared.map(({ value }) => value));
    return {
      kind: "unmeasured",
      ...(all && { all }),
      because: `other work took more than ${FOREIGN_CORES_MAX} cores in ${disturbed} of ${compared.length} turns`,
    };
  }
  if (reaches(aim, summary.median)) return { kind: "held", summary };
  const best = aim.at === "least" ? summary.high : summary.low;
  return { kind: reaches(aim, best) ? "near" : "missed", summary };
}

interface ComparedTurn {
  readonly value: number;
  readonly isQuiet: boolean;
}

/** Or why there are none. */
function comparedTurns(aim: Aim, slices: readonly Slice[]): readonly ComparedTurn[] | string {
  const own = slicesOf(slices, aim.case, aim.contender);
  if (own.length === 0) return `${aim.contender} was not measured`;
  if (aim.of.kind === "value")
    return own.map((slice) => ({
      value: slice.values[aim.quantity] ?? Number.NaN,
      isQuiet: !isDisturbed(slice),
    }));
  const { kind, against } = aim.of;
  const pairs = pairsOf(own, slicesOf(slices, aim.case, against), aim.quantity);
  if (pairs.length === 0) return `${against} was not measured`;
  return pairs.map(([one, other, isQuiet]) => ({
    value: kind === "ratio" ? one / other : one - other,
    isQuiet,
  }));
}

/** One contender's value by another's, in each turn that has both. */
export function ratiosOf(
  own: readonly Slice[],
  others: readonly Slice[],
  quantity: Quantity,
): readonly number[] {
  return pairsOf(own, others, quantity).map(([one, other]) => one / other);
}

function pairsOf(
  own: readonly Slice[],
  others: readonly Slice[],
  quantity: Quantity,
): readonly (readonly [one: number, other: number, isQuiet: boolean])[] {
  return own.flatMap((slice) => {
    const other = others.find(({ turn }) => turn === slice.turn);
    const [value, otherValue] = [slice.values[quantity], other?.values[quantity]];
    if (other === undefined || value === undefined || otherValue === undefined) return [];
    return [[value, otherValue, !isDisturbed(slice) && !isDisturbed(other)] as const];
  });
}

export function slicesOf(
  slices: readonly Slice[],
  name: string,
  contender: string,
): readonly Slice[] {
  return slices.filter((slice) => slice.case === name && slice.contender === contender);
}

function reaches({ at, bound }: Aim, value: number): boolean {
  return at === "least" ? value >= bound : value <= bound;
}

/** `select-simple-32: colonnade by pgbouncer, per s >= 0.9 x` */
export function aimText({ case: name, contender, quantity, of, at, bound }: Aim): string {
  const { unit } = QUANTITIES[quantity];
  const sides = of.kind === "value" ? contender : `${contender} by ${of.against}`;
  const times = { value: "", ratio: " x", difference: " more" }[of.kind];
  return `${name}: ${sides}, ${unit} ${at === "least" ? ">=" : "<="} ${bound}${times}`;
}

export function verdictText({ quantity, of }: Aim, verdict: Verdict): string {
  const digits = of.kind === "ratio" ? 2 : QUANTITIES[quantity].digits;
  if (verdict.kind === "unmeasured") {
    const { because, all } = verdict;
    return `not judged: ${because}${all === undefined ? "" : `; in all of them ${formatSummary(all, digits)}`}`;
  }
  return `${verdict.kind}: ${formatSummary(verdict.summary, digits)}`;
}
