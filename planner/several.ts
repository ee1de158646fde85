/**
 * How several placements answer a statement: known with its plan, or made when a Bind first needs
 * them. Most statements that name their shard never do, and what is made for several costs more than the
 * rest of a plan: other texts, and the proof that each says what it should.
 *
 * What is made later is made of the statement's text, so that a plan that is kept holds no tree.
 */
import { SqlError } from "../base/sql-error.ts";
import type { DatabaseGather, Gather, Several } from "./logical-plan.ts";
import type { Refusal } from "./refusal.ts";
import type { SqlTemplate } from "./sql-template.ts";

/** Each placement runs the plan's own text. */
export function severally(gather: Gather, scatterRefusal?: Refusal): Several {
  return { gather, scatterTemplate: undefined, overflowGather: undefined, scatterRefusal };
}

/** Rows of any placement are the client's. */
export const AS_THEY_COME: Several = severally({ kind: "concat", limit: undefined });

export class SeveralLater implements Several {
  readonly #make: () => Several;
  #made: Several | undefined;

  /** `make` depends on nothing that changes; it throws SqlError, which whoever asks gets. */
  constructor(make: () => Several) {
    this.#make = make;
  }

  get gather(): Gather {
    return this.#known.gather;
  }

  get scatterTemplate(): SqlTemplate | undefined {
    return this.#known.scatterTemplate;
  }

  get overflowGather(): DatabaseGather | undefined {
    return this.#known.overflowGather;
  }

  get scatterRefusal(): Refusal | undefined {
    return this.#known.scatterRefusal;
  }

  get #known(): Several {
    this.#made ??= withinStack(this.#make);
    return this.#made;
  }
}

/** The walks over trees are bounded, but the stack they start on is not theirs to know. */
export function withinStack<T>(plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (error instanceof RangeError)
      throw new SqlError("statement_too_deep", "stack depth limit exceeded", { cause: error });
    throw error;
  }
}
