/**
 * Statements of the proxy's own on their way to a backend together with what follows them:
 * one Sync for all, so one round trip, and an error skips the rest. Manual: "Pipelining".
 */
import type { BackendConnection } from "../../backend/backend-connection.ts";
import { FrameWriter } from "../../protocol/frame-writer.ts";
import { encodeBind } from "../../protocol/frontend/bind.ts";
import { encodeDescribe } from "../../protocol/frontend/describe.ts";
import { encodeExecute } from "../../protocol/frontend/execute.ts";
import { encodeParse } from "../../protocol/frontend/parse.ts";
import type { FragmentRequest } from "../fragment-request.ts";

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

/** Whoever sends next ends them with its own Sync. Each is answered by a CommandComplete. */
export function sendAhead(connection: BackendConnection, statements: readonly string[]): void {
  for (const sql of statements) writeStatement(WRITER, sql, [], []);
  connection.send(WRITER.take());
}

/** Parse, Bind and Execute of an unnamed statement; its rows, where it has any, are in text. */
export function writeStatement(
  writer: FrameWriter,
  sql: string,
  parameterTypeOids: FragmentRequest["parameterTypes"],
  parameters: readonly { readonly format: "text" | "binary"; readonly value: Buffer | null }[],
): void {
  encodeParse({ kind: "parse", statement: "", sql, parameterTypeOids }, writer);
  encodeBind(
    {
      kind: "bind",
      portal: "",
      statement: "",
      parameterFormats: parameters.map(({ format }) => format),
      parameters: parameters.map(({ value }) => value),
      resultFormats: [],
    },
    writer,
  );
  encodeExecute({ kind: "execute", portal: "", rowLimit: 0 }, writer);
}

/** Parse and Describe: a ParameterDescription and a RowDescription answer, and nothing runs. */
export function writeDescription(writer: FrameWriter, sql: string): void {
  encodeParse({ kind: "parse", statement: "", sql, parameterTypeOids: [] }, writer);
  encodeDescribe({ kind: "describe", target: "statement", name: "" }, writer);
}
