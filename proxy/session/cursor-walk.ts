/**
 * Where a cursor stands, and what FETCH and MOVE do to that: DoPortalRunFetch and PortalRunSelect
 * of PostgreSQL's pquery.c over rows that the proxy has. What the rows are is theirs.
 */
import { SqlError } from "../../base/sql-error.ts";
import type { CursorMove } from "../../planner/cursor-plan.ts";
import type { DataRowRun } from "../execution/shard-rows.ts";

export interface CursorRows {
  readonly goesBackward: boolean;
  /** The next rows, `count` of them or as many as there are. */
  forward(count: number): AsyncIterable<DataRowRun>;
  /** The rows before, in that order; only where it goes backward. */
  backward(count: number): Iterable<DataRowRun>;
  /** To where it stands before the first row; only where it goes backward. */
  rewind(): void;
}

/** Rows, and how many they were; or, for a MOVE that need not look at them, would have been. */
export type Walked = AsyncGenerator<DataRowRun, number, undefined>;

export class CursorWalk {
  readonly #rows: CursorRows;
  #isAtStart: boolean;
  #isAtEnd: boolean;
  /** Rows before it, with the one it is on. */
  #position: number;

  constructor(rows: CursorRows, at: Standing = AT_START) {
    this.#rows = rows;
    this.#isAtStart = at.isAtStart;
    this.#isAtEnd = at.isAtEnd;
    this.#position = at.position;
  }

  get standing(): Standing {
    return { isAtStart: this.#isAtStart, isAtEnd: this.#isAtEnd, position: this.#position };
  }

  /** A MOVE drops the rows. */
  go({ direction, count }: CursorMove, isMove: boolean): Walked {
    switch (direction) {
      case "forward":
        return this.#toAndFro(count >= 0, Math.abs(count), isMove);
      case "backward":
        return this.#toAndFro(count < 0, Math.abs(count), isMove);
      case "absolute":
        return this.#absolute(count);
      case "relative":
        return count === 0 ? this.#toAndFro(true, 0, isMove) : this.#relative(count);
    }
  }

  async *#toAndFro(isForward: boolean, count: number, isMove: boolean): Walked {
    if (count === 0) {
      const isOnRow = !this.#isAtStart && !this.#isAtEnd;
      if (!isOnRow) return 0;
      if (isMove) return 1;
      // The row it is on once more.
      await this.#skip(false, 1);
      return yield* this.#run(true, 1);
    }
    if (!isForward && count === Number.POSITIVE_INFINITY && isMove) {
      const passed = Math.max(0, this.#position - (this.#isAtEnd ? 0 : 1));
      this.#rewind();
      return passed;
    }
    return yield* this.#run(isForward, count);
  }

  async *#absolute(count: number): Walked {
    if (count === 0) {
      this.#rewind();
      return 0;
    }
    if (count < 0) {
      await this.#skip(true, Number.POSITIVE_INFINITY);
      await this.#skip(false, -count - 1);
      return yield* this.#run(false, 1);
    }
    if (count - 1 <= this.#position / 2) {
      this.#rewind();
      await this.#skip(true, count - 1);
    } else {
      const position = this.#position + (this.#isAtEnd ? 1 : 0);
      if (count <= position) await this.#skip(false, position - count + 1);
      else await this.#skip(true, count - position - 1);
    }
    return yield* this.#run(true, 1);
  }

  async *#relative(count: number): Walked {
    const isForward = count > 0;
    await this.#skip(isForward, Math.abs(count) - 1);
    return yield* this.#run(isForward, 1);
  }

  async #skip(isForward: boolean, count: number): Promise<void> {
    if (count === 0) return;
    for await (const _ of this.#run(isForward, count));
  }

  #run(isForward: boolean, count: number): Walked {
    return isForward ? this.#forward(count) : this.#backward(count);
  }

  async *#forward(count: number): Walked {
    if (this.#isAtEnd) return 0;
    let given = 0;
    for await (const run of this.#rows.forward(count)) {
      given += run.count;
      yield run;
    }
    if (given > 0) this.#isAtStart = false;
    if (given < count) this.#isAtEnd = true;
    this.#position += given;
    return given;
  }

  async *#backward(count: number): Walked {
    this.#refuseBackward();
    if (this.#isAtStart) return 0;
    let given = 0;
    for (const run of this.#rows.backward(count)) {
      given += run.count;
      yield run;
    }
    if (given > 0 && this.#isAtEnd) {
      this.#isAtEnd = false;
      this.#position += 1;
    }
    if (given < count) {
      this.#isAtStart = true;
      this.#position = 0;
    } else this.#position -= given;
    return given;
  }

  #rewind(): void {
    if (this.#isAtStart && !this.#isAtEnd) return;
    this.#refuseBackward();
    this.#rows.rewind();
    this.#isAtStart = true;
    this.#isAtEnd = false;
    this.#position = 0;
  }

  #refuseBackward(): void {
    if (this.#rows.goesBackward) return;
    throw new SqlError("cursor_forward_only", "cursor can only scan forward");
  }
}

export interface Standing {
  readonly isAtStart: boolean;
  readonly isAtEnd: boolean;
  readonly position: number;
}

const AT_START: Standing = { isAtStart: true, isAtEnd: false, position: 0 };
