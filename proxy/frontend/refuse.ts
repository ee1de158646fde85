/** How a connection ends that gets no session: with a last message, which the peer can still read. */
import type { Socket } from "node:net";
import { FRONTEND_CLOSE_TIMEOUT_MS } from "../../base/limits.ts";
import { encodeErrorResponse } from "../protocol/backend/error-response.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { errorFields } from "../session/error-fields.ts";
/** Says why, then closes. */
export function refuse(socket: Socket, raw: Socket, error: unknown): void {
  const fields = errorFields(error, "FATAL");
  closeAfter(socket, raw, encodeToBuffer(encodeErrorResponse, { kind: "errorResponse", fields }));
}

/** Closes when the last message has been sent, with TLS's own end where it is TLS. */
export function closeAfter(socket: Socket, raw: Socket, lastMessage?: Buffer): void {
  if (raw.destroyed) return;
  const timer = setTimeout(() => raw.destroy(), FRONTEND_CLOSE_TIMEOUT_MS);
  raw.once("close", () => clearTimeout(timer));
  // What the peer still sends is read and dropped, or closing would reset the connection
  // and the message might never be read.
  socket.on("data", ignore).resume();
  socket.end(lastMessage ?? "");
}

function ignore(): void {}
