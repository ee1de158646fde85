/** What every reader of a backend's answer does: its errors in the client's terms, and its end. */
import { originalPosition } from "../../planner/sql-template.ts";
import type { RenderedSql } from "../../planner/sql-template.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import type { BackendRun } from "../protocol/backend-run-reader.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import type { ErrorFields } from "../protocol/backend/error-response.ts";

export function errorFields(run: BackendRun): ErrorFields {
  return decodeErrorResponse(runBody(run)).fields;
}

/** An error as one server would have worded it: its position in the client's text, its schema the client's. */
export function inClientText(fields: ErrorFields, rendered: RenderedSql): ErrorFields {
  const placed = atClientPosition(fields, rendered);
  const schema = rendered.schemas.find(({ own }) => own === placed.s);
  return schema === undefined ? placed : { ...placed, s: schema.shown };
}

/** Positions count characters, not UTF-16 units: both ways through the code points. */
function atClientPosition(fields: ErrorFields, rendered: RenderedSql): ErrorFields {
  const { P: position, ...unplaced } = fields;
  if (position === undefined || rendered.shifts.length === 0) return fields;
  const before = Array.from(rendered.sql).slice(0, Number(position) - 1);
  const unit = before.join("").length + 1;
  const original = originalPosition(rendered, unit);
  if (original === undefined) return unplaced;
  const characters = Array.from(rendered.original.slice(0, original - 1)).length + 1;
  return { ...fields, P: String(characters) };
}

/** Reads and drops what is left of a statement. A broken connection needs none. */
export async function drainToReady(connection: BackendConnection): Promise<void> {
  while (connection.pendingReadyForQuery > 0 && !connection.isBroken) {
    try {
      if (connection.tryReceive() === undefined) await connection.receive();
    } catch {
      return;
    }
  }
}
