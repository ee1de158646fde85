/**
 * An accepted socket that reads into the buffer which all share. Node offers that for sockets that
 * connect (`onread`), and has no option for those that a server accepts: so the connection is taken
 * from the accepted Socket and given to another. The fields that this needs are not documented, which
 * is why they are looked for, and why there is a way without: whoever gets undefined reads as ever.
 */
import { Socket } from "node:net";
import type { Server, SocketConstructorOpts } from "node:net";
import { TLSSocket } from "node:tls";
import { SHARED_READ_BUFFER } from "../protocol/shared-read-buffer.ts";

/** net.Socket of Node 20 to 26, as far as it is not documented. */
interface Inside {
  _handle: { readonly useUserBuffer?: unknown } | null;
  /** Counts it among its connections until it is closed. */
  _server: Server | null;
  readonly _readableState?: { readonly ended: boolean };
}

/** `bytes[0, length)`, which are gone after the call. */
export type OnBytes = (bytes: Buffer, length: number) => void;

export interface Adopted {
  /** Paused, and half open as the accepted one was. */
  readonly socket: Socket;
  /** What the accepted one had read, and nobody had asked for. */
  readonly unread: Buffer | null;
}

/**
 * The accepted one is of no use afterwards, and never closes. Undefined for TLS, for one whose peer
 * has ended, and where Node has none of what it takes.
 */
export function adoptSocket(accepted: Socket, onBytes: OnBytes): Adopted | undefined {
  const inside = accepted as unknown as Inside;
  const { _handle: handle, _server: server, _readableState: state } = inside;
  const isOpen = !accepted.destroyed && state?.ended === false;
  if (accepted instanceof TLSSocket || !isOpen || server === undefined) return undefined;
  if (typeof handle?.useUserBuffer !== "function") return undefined;
  const unread = accepted.read() as Buffer | null;
  const options = {
    handle,
    allowHalfOpen: accepted.allowHalfOpen,
    onread: {
      buffer: SHARED_READ_BUFFER,
      callback: (length: number, bytes: Uint8Array) => {
        onBytes(bytes as Buffer, length);
        return true;
      },
    },
  };
  const socket = new Socket(options as unknown as SocketConstructorOpts);
  inside._handle = null;
  inside._server = null;
  (socket as unknown as Inside)._server = server;
  socket.pause();
  return { socket, unread };
}
