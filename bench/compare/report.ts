/** What was measured, as text for people and as data for programs. */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import { AIMS } from "./aims.ts";
import type { Aim } from "./aims.ts";
import type { Case } from "./cases.ts";
import { aimText, judge, ratiosOf, slicesOf, verdictText } from "./judge.ts";
import type { Verdict } from "./judge.ts";
import type { CoreLayout } from "./pinning.ts";
import { isDisturbed, QUANTITIES } from "./slice.ts";
import type { Quantity, Slice } from "./slice.ts";
import { formatSummary, summarize } from "./statistics.ts";
import type { Size, Wish } from "./wish.ts";

/** The contenders whose ratios to the others are of interest. */
export const OURS = /^colonnade/;

/** What bounds the others: no proxy that asks a server is quicker than it, and none in Node than one that does nothing. */
const BOUNDS = /^(?:direct|node-relay)$/;

/** Whom the bounds are held against. */
const POOLER = "pgbouncer";

const QUANTITY_NAMES = Object.keys(QUANTITIES) as readonly Quantity[];

/** A case's rows: a contender's values, below ours its ratios to the others, and below the bounds theirs to the pooler. */
export function caseText({ name, about }: Case, slices: readonly Slice[]): string {
  const contenders = [
    ...new Set(slices.filter((each) => each.case === name).map(({ contender }) => contender)),
  ];
  const lines = contenders.flatMap((contender) => {
    const own = slicesOf(slices, name, contender);
    const values = QUANTITY_NAMES.flatMap((quantity) => valueText(own, quantity));
    const disturbed = own.filter(isDisturbed).length;
    const mark = disturbed === 0 ? "" : `  ! ${disturbed} of ${own.length} beside other work`;
    const row = `  ${contender.padEnd(22)} ${values.join("  ")}${mark}`;
    const others = contenders.filter((other) =>
      OURS.test(contender) ? !OURS.test(other) : BOUNDS.test(contender) && other === POOLER,
    );
    const ratios = others.flatMap((other) => ratioText(own, slicesOf(slices, name, other), other));
    return [row, ...ratios];
  });
  return [`${name}: ${about}`, ...lines, ""].join("\n");
}

function valueText(own: readonly Slice[], quantity: Quantity): readonly string[] {
  const { unit, digits } = QUANTITIES[quantity];
  const summary = summarize(own.flatMap(({ values }) => values[quantity] ?? []));
  return summary === undefined ? [] : [`${formatSummary(summary, digits)} ${unit}`];
}

function ratioText(
  own: readonly Slice[],
  others: readonly Slice[],
  other: string,
): readonly string[] {
  // Of memory that another hardly uses a multiple says nothing.
  const timed = QUANTITY_NAMES.filter((quantity) => QUANTITIES[quantity].isTimed);
  const ratios = timed.flatMap((quantity) => {
    const summary = summarize(ratiosOf(own, others, quantity));
    return summary === undefined
      ? []
      : [`${QUANTITIES[quantity].unit} x ${formatSummary(summary, 2)}`];
  });
  return ratios.length === 0 ? [] : [`    by ${other.padEnd(16)} ${ratios.join("  ")}`];
}

export interface JudgedAim {
  readonly aim: Aim;
  readonly verdict: Verdict;
}

/** The aims of what was asked for, and no others. */
export function judgeAims(
  { cases, contenders }: Pick<Wish, "cases" | "contenders">,
  slices: readonly Slice[],
): readonly JudgedAim[] {
  const names = new Set(cases.map(({ name }) => name));
  const isAsked = ({ case: name, contender, of }: Aim): boolean =>
    names.has(name) &&
    (contenders.includes(contender) || !OURS.test(contender)) &&
    (of.kind === "value" || contenders.includes(of.against));
  return AIMS.filter(isAsked).map((aim) => ({ aim, verdict: judge(aim, slices) }));
}

export function judgedText({ aim, verdict }: JudgedAim): string {
  return `${aimText(aim)}: ${verdictText(aim, verdict)}`;
}

/** What `--check` ends with. */
export const EXIT_CODES = { held: 0, missed: 1, unmeasured: 3 } as const;

/** One missed aim is enough; with none missed, one that could not be judged is. */
export function exitCode(judged: readonly JudgedAim[]): number {
  const has = (kind: Verdict["kind"]): boolean =>
    judged.some(({ verdict }) => verdict.kind === kind);
  if (has("missed")) return EXIT_CODES.missed;
  return has("unmeasured") ? EXIT_CODES.unmeasured : EXIT_CODES.held;
}

/** What `--check` says besides: each aim that was missed, and how many nobody knows about. */
export function complaints(judged: readonly JudgedAim[]): readonly string[] {
  const missed = judged.filter(({ verdict }) => verdict.kind === "missed").map(judgedText);
  const unmeasured = judged.filter(({ verdict }) => verdict.kind === "unmeasured").length;
  if (unmeasured === 0) return missed;
  return [...missed, `${unmeasured} of ${judged.length} aims could not be judged here and now`];
}

/** Everything that somebody needs who wants to measure it again. */
export interface Circumstances extends Size {
  /** ISO 8601. */
  readonly at: string;
  /** Undefined outside of a clone. */
  readonly commit: string | undefined;
  readonly isClean: boolean | undefined;
  readonly machine: {
    readonly cores: number;
    readonly processor: string | undefined;
    readonly memoryBytes: number;
    readonly kernel: string;
    readonly load: readonly number[];
  };
  readonly pinned: CoreLayout;
  readonly node: string;
  readonly pgbench: string;
  /** By name. */
  readonly contenders: Readonly<Record<string, string>>;
}

export function circumstances(
  { size }: Wish,
  versions: Readonly<Record<string, string>>,
  layout: CoreLayout,
): Circumstances {
  // The page that is about to be written is no change of what is measured.
  const measured = ["--", ":(top)", ":(top,exclude)bench/RESULTS.md"];
  const changes = git("status", "--porcelain", "--untracked-files=no", ...measured);
  return {
    at: new Date().toISOString(),
    commit: git("rev-parse", "HEAD"),
    isClean: changes === undefined ? undefined : changes === "",
    machine: {
      cores: cpus().length,
      processor: cpus()[0]?.model,
      memoryBytes: totalmem(),
      kernel: release(),
      load: loadavg(),
    },
    pinned: layout,
    node: process.version,
    pgbench: execFileSync("pgbench", ["--version"]).toString().trim(),
    contenders: versions,
    ...size,
  };
}

/** Undefined outside of a clone. */
function git(...words: readonly string[]): string | undefined {
  try {
    const printed = execFileSync("git", words, {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return printed.toString().trim();
  } catch {
    return undefined;
  }
}
