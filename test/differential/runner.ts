/**
 * Sends each step to both sides and compares the answers. The proxy goes first: what it
 * refuses is not run on the plain server, so that both keep the same rows.
 */
import {
  bindFrame,
  closeFrame,
  describeFrame,
  executeFrame,
  flushFrame,
  parseFrame,
  queryFrame,
  syncFrame,
} from "../support/raw-frames.ts";
import { ServerError } from "../support/raw-client.ts";
import type { Exchange, RawClient } from "../support/raw-client.ts";
import { printItem, readAnswer } from "./answer.ts";
import type { Item, TypeNames } from "./answer.ts";
import { differenceOf, failsBySomePlans, refusalOf } from "./compare.ts";
import { DistributionTally } from "./distribution.ts";
import { leavesEvaluationOpen, traitsOf } from "./features.ts";
import type { Call, Statement, Step } from "./statement.ts";

export interface Side {
  client: RawClient;
  readonly connect: () => Promise<RawClient>;
  readonly typeNames: TypeNames;
}

export interface Difference {
  readonly statement: number;
  readonly kind: string;
  readonly why: string;
  readonly step: string;
  /** What the same connection did before it, the last first. */
  readonly before: readonly string[];
  readonly expected: string;
  readonly actual: string;
}

const HISTORY_STEPS = 12;

export interface Tally {
  answered: number;
  refused: number;
}

export interface RunnerOptions {
  /** Differences already known, by their reason: counted, and gone past. */
  readonly ignored?: RegExp | undefined;
  readonly onRefused?: ((reason: string, step: string) => void) | undefined;
}

export class Runner {
  readonly plain: Side;
  readonly other: Side;
  readonly #ignored: RegExp | undefined;
  readonly #onRefused: RunnerOptions["onRefused"];
  readonly ignored = new Map<string, number>();
  readonly #history: string[] = [];
  readonly refusals = new Map<string, number>();
  readonly kinds = new Map<string, Tally>();
  readonly distribution = new DistributionTally();
  readonly differences: Difference[] = [];
  /** Errors both sides gave alike, by SQLSTATE. */
  readonly errors = new Map<string, number>();
  /** Steps of which one side alone failed, on a row that only its plan met. */
  failedBySomePlans = 0;
  statements = 0;
  answered = 0;
  /** What runs now only makes rows: compared, but not counted as a statement of the run. */
  isFilling = false;
  /** Rows may no longer be the same on both sides. */
  isDiverged = false;

  constructor(plain: Side, other: Side, { ignored, onRefused }: RunnerOptions = {}) {
    this.#ignored = ignored;
    this.#onRefused = onRefused;
    this.plain = plain;
    this.other = other;
  }

  /** Runs the steps up to the first refusal or difference; both sides are idle afterwards. */
  async unit(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      const outcome = await this.#step(step);
      this.#remember(step, outcome);
      if (outcome === "answered") continue;
      await this.#tidy(steps);
      return;
    }
  }

  async #step(step: Step): Promise<"answered" | "refused" | "different"> {
    const bytes = encodeStep(step);
    const opaque =
      step.statements.length === 1
        ? (step.statements[0]?.opaqueColumns ?? [])
        : opaqueOfAll(step.statements);
    if (!this.isFilling) this.statements += step.statements.length;
    const kind = step.statements[0]?.kind ?? "";
    const answer = await attempt(this.other.client, bytes);
    if (answer instanceof Error)
      return this.#differs(step, kind, `the connection failed: ${answer.message}`, [], []);
    const actual = readAnswer(answer.messages, this.other.typeNames, opaque);
    const refusal = refusalOf(actual, hasExecution(step)) ?? this.#knownFailure(actual);
    this.#count(kind, step.statements, refusal);
    if (refusal !== undefined) {
      this.#onRefused?.(refusal, printStep(step));
      return "refused";
    }
    const plain = await attempt(this.plain.client, bytes);
    if (plain instanceof Error) throw plain;
    const expected = readAnswer(plain.messages, this.plain.typeNames, opaque);
    const why = differenceOf(expected, actual, step.statements);
    if (why === undefined) {
      this.#countErrors(expected, actual);
      // An early error of the proxy's own leaves fewer prepared statements behind: begin anew.
      return actual.some(isOwnFailure) ? "refused" : "answered";
    }
    // Both sides are rolled back, as after a refusal.
    const isOpen = step.statements.some((statement) => leavesEvaluationOpen(statement));
    if (failsBySomePlans(expected, actual, isOpen)) {
      this.failedBySomePlans += 1;
      return "refused";
    }
    if (this.#ignored?.test(why) === true) {
      const reason = alike(why);
      this.ignored.set(reason, (this.ignored.get(reason) ?? 0) + 1);
      return "answered";
    }
    return this.#differs(step, kind, why, expected, actual);
  }

  /** A failure of the proxy's own that is already known: like a refusal, not run on the plain server. */
  #knownFailure(items: readonly Item[]): string | undefined {
    for (const item of items) {
      const message = item.kind === "error" && isOwnFailure(item) ? (item.fields["M"] ?? "") : "";
      if (message !== "" && this.#ignored?.test(message) === true)
        return `known: ${alike(message)}`;
    }
    return undefined;
  }

  #count(kind: string, sent: readonly Statement[], refusal: string | undefined): void {
    if (this.isFilling) return;
    this.distribution.add(sent.map(traitsOf), refusal);
    const statements = sent.length;
    const tally = this.kinds.get(kind) ?? { answered: 0, refused: 0 };
    this.kinds.set(kind, tally);
    if (refusal === undefined) {
      this.answered += statements;
      tally.answered += statements;
    } else {
      this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + statements);
      tally.refused += statements;
    }
  }

  #countErrors(expected: readonly Item[], actual: readonly Item[]): void {
    if (this.isFilling) return;
    const own = actual.find(isOwnFailure);
    for (const item of expected) {
      if (item.kind !== "error") continue;
      const words = own?.kind === "error" ? ` (${own.fields["R"] ?? "the proxy's own"})` : "";
      const code = `${item.fields["C"]}${words}`;
      this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
    }
  }

  #differs(
    step: Step,
    kind: string,
    why: string,
    expected: readonly Item[],
    actual: readonly Item[],
  ): "different" {
    this.differences.push({
      statement: this.statements,
      kind,
      why,
      step: printStep(step),
      before: this.#history.toReversed(),
      expected: expected.map(printItem).join("\n"),
      actual: actual.map(printItem).join("\n"),
    });
    this.isDiverged = true;
    return "different";
  }

  #remember(step: Step, outcome: string): void {
    this.#history.push(`${outcome}: ${printStep(step).replaceAll("\n", " | ")}`);
    if (this.#history.length > HISTORY_STEPS) this.#history.shift();
  }

  /** Ends what an abandoned unit left open, alike on both sides. */
  async #tidy(steps: readonly Step[]): Promise<void> {
    const hasSettings = steps.some((step) =>
      step.statements.some(({ sql }) => sql.startsWith("SET ")),
    );
    for (const side of [this.plain, this.other]) {
      if (side.client.isLost) {
        side.client = await side.connect();
        this.isDiverged = true;
        continue;
      }
      const closes = ["named", "s1", "S 2"].map((name) => closeFrame("S", name));
      await attempt(side.client, Buffer.concat([...closes, syncFrame()]));
      const script = hasSettings ? "ROLLBACK; RESET ALL" : "ROLLBACK";
      const answer = await attempt(side.client, queryFrame(script));
      if (answer instanceof Error || answer.status !== "I") {
        side.client.destroy();
        side.client = await side.connect();
        this.isDiverged = true;
      }
    }
  }
}

/** A backend's errors name the source file; the proxy's do not. */
function isOwnFailure(item: Item): boolean {
  return item.kind === "error" && item.fields["F"] === undefined;
}

/** Parse and Describe alone change nothing, so that an early error of the proxy is a refusal. */
function hasExecution(step: Step): boolean {
  return step.kind === "simple" || step.calls.some(({ kind }) => kind === "execute");
}

/** A reason without the names and numbers in it. */
export function alike(why: string): string {
  return why.replaceAll(/\d+/g, "N").replaceAll(/"[^"]*"/g, "…");
}

async function attempt(client: RawClient, bytes: Buffer): Promise<Exchange | Error> {
  try {
    return await client.exchange(bytes);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return error instanceof ServerError ? new Error(JSON.stringify(error.fields)) : error;
  }
}

/** Several statements in one step: the union, since rows cannot be told apart by statement. */
function opaqueOfAll(statements: readonly Statement[]): number[] {
  return [...new Set(statements.flatMap(({ opaqueColumns }) => opaqueColumns))];
}

export function encodeStep(step: Step): Buffer {
  if (step.kind === "simple") return queryFrame(step.sql);
  return Buffer.concat([...step.calls.map(encodeCall), syncFrame()]);
}

function encodeCall(call: Call): Buffer {
  switch (call.kind) {
    case "parse":
      return parseFrame(call.name, call.sql, call.typeOids);
    case "bind":
      return bindFrame(call.portal, call.statement, call.parameters, call.resultFormats);
    case "describe":
      return describeFrame(call.target, call.name);
    case "execute":
      return executeFrame(call.portal, call.rowsMax);
    case "close":
      return closeFrame(call.target, call.name);
    case "flush":
      return flushFrame();
  }
}

function printStep(step: Step): string {
  if (step.kind === "simple") return `simple: ${step.sql}`;
  return step.calls
    .map((call) => {
      if (call.kind === "parse")
        return `parse ${call.name}: ${call.sql} [${call.typeOids.join(", ")}]`;
      if (call.kind !== "bind") return JSON.stringify(call);
      const values = call.parameters.map(({ value, format }) =>
        value === null ? "NULL" : format === 1 ? `x${value.toString("hex")}` : value.toString(),
      );
      return `bind ${call.statement} -> ${call.portal} (${values.join(", ")}) formats [${call.resultFormats.join(", ")}]`;
    })
    .join("\n");
}
