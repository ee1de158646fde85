/** Collects the answer to a control statement: small, read whole, and as text. */
import { invariant } from "../../base/invariant.ts";
import { CONTROL_ANSWER_BYTES_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { decodeCommandComplete } from "../protocol/backend/command-complete.ts";
import { decodeDataRow } from "../protocol/backend/data-row.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import type { BackendRun } from "../protocol/backend-run-reader.ts";
import { FRAME_HEADER_BYTES } from "../protocol/frame-reader.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";
import { BackendError } from "./backend-error.ts";

export interface ControlAnswer {
  /** Of all statements in order; null is NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** Of the last statement that has one: `COMMIT`, `SELECT 3`; "" for an empty string. */
  readonly tag: string;
}

export class ControlAnswerReader {
  readonly #rows: (readonly (string | null)[])[] = [];
  #bytes = 0;
  #tag = "";
  #error: BackendError | undefined;

  /** Takes one run; says when it was the ReadyForQuery. */
  read(run: BackendRun): "more" | "complete" {
    switch (run.type) {
      case BACKEND_TYPE.dataRow:
        this.#readRows(run);
        return "more";
      case BACKEND_TYPE.commandComplete:
        this.#tag = decodeCommandComplete(runBody(run)).tag;
        return "more";
      case BACKEND_TYPE.errorResponse:
        this.#error ??= new BackendError(decodeErrorResponse(runBody(run)).fields);
        return "more";
      case BACKEND_TYPE.readyForQuery:
        return "complete";
      default:
        // The server would wait for data, and we for the server.
        invariant(run.type !== BACKEND_TYPE.copyInResponse, "control statements copy nothing in");
        return "more";
    }
  }

  result(): ControlAnswer {
    if (this.#error !== undefined) throw this.#error;
    return { rows: this.#rows, tag: this.#tag };
  }

  #readRows({ bytes, count }: BackendRun): void {
    this.#bytes += bytes.length;
    if (this.#bytes > CONTROL_ANSWER_BYTES_MAX) {
      throw new SqlError(
        "control_answer_too_large",
        `answer to a statement of the proxy's own exceeds ${CONTROL_ANSWER_BYTES_MAX} bytes`,
      );
    }
    let start = 0;
    for (let row = 0; row < count; row += 1) {
      const end = start + 1 + bytes.readUInt32BE(start + 1);
      const { values } = decodeDataRow(bytes.subarray(start + FRAME_HEADER_BYTES, end));
      this.#rows.push(values.map((value) => (value === null ? null : value.toString("utf8"))));
      start = end;
    }
  }
}
