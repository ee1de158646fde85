/**
 * From an accepted socket to a start-up packet: TLS, the refusal of GSSAPI encryption,
 * cancel requests, the protocol's version.
 * Source: src/backend/tcop/backend_startup.c.
 */
import type { Socket } from "node:net";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { decodeStartup, PROTOCOL_MAJOR, PROTOCOL_MINOR_MAX } from "../protocol/startup.ts";
import type { CancelRequest, Startup, StartupPacket } from "../protocol/startup.ts";
import { PullSocket } from "./pull-socket.ts";
import { ALPN_PROTOCOL, TLS_HANDSHAKE_BYTE } from "./tls.ts";
import type { FrontendTls } from "./tls.ts";

export type Opening =
  | {
      readonly kind: "startup";
      readonly startup: Startup;
      readonly socket: PullSocket;
      readonly isTls: boolean;
    }
  | { readonly kind: "cancel"; readonly request: CancelRequest; readonly socket: PullSocket }
  | { readonly kind: "gone" };

export interface OpeningOptions {
  readonly tls: FrontendTls | undefined;
  readonly signal: AbortSignal;
  /** Told of each socket that takes the place of the one before, so that errors find their way. */
  readonly onSocket: (socket: PullSocket) => void;
}

/** Rejects with ProtocolViolation, SqlError or the signal's reason. */
export async function readOpening(raw: Socket, options: OpeningOptions): Promise<Opening> {
  const { tls, signal, onSocket } = options;
  let socket = new PullSocket(raw, signal);
  let isTls = false;
  const upgrade = (): void => {
    if (tls === undefined) throw new ProtocolViolation("TLS is not configured");
    socket = new PullSocket(tls.upgrade(raw), signal);
    isTls = true;
    onSocket(socket);
  };

  if (tls !== undefined && (await socket.firstByte()) === TLS_HANDSHAKE_BYTE) {
    upgrade();
    const first = await socket.firstByte();
    if (first === undefined) return { kind: "gone" };
    checkAlpn(socket);
  }
  // Each request may stand once, in either order, as in libpq's attempts.
  const asked = new Set<StartupPacket["kind"]>();
  for (;;) {
    const bytes = await socket.startupPacket();
    if (bytes === undefined) return { kind: "gone" };
    const packet = decodeStartup(bytes);
    if (asked.has(packet.kind)) throw new ProtocolViolation(`repeated ${packet.kind}`);
    asked.add(packet.kind);
    switch (packet.kind) {
      case "startup":
        checkMajor(packet);
        return { kind: "startup", startup: packet, socket, isTls };
      case "cancelRequest":
        return { kind: "cancel", request: packet, socket };
      case "gssencRequest":
        socket.write(Buffer.from("N"));
        break;
      case "sslRequest":
        if (isTls) throw new ProtocolViolation("SSLRequest inside of TLS");
        checkNothingUnread(socket);
        socket.write(Buffer.from(tls === undefined ? "N" : "S"));
        if (tls !== undefined) upgrade();
        break;
    }
  }
}

/**
 * Bytes sent along with the request were sent in clear text, by the client or by somebody
 * in between, and must not be taken for a part of the encrypted stream (CVE-2021-23222).
 */
function checkNothingUnread(socket: PullSocket): void {
  if (socket.unreadBytes === 0) return;
  throw new ProtocolViolation("received unencrypted data after SSL request");
}

/** Without it, a client of another protocol could be talked into speaking to us. */
function checkAlpn({ socket }: PullSocket): void {
  if ("alpnProtocol" in socket && socket.alpnProtocol === ALPN_PROTOCOL) return;
  throw new ProtocolViolation(
    "received direct SSL connection request without ALPN protocol negotiation extension",
  );
}

function checkMajor({ major, minor }: Startup): void {
  if (major === PROTOCOL_MAJOR) return;
  throw new SqlError(
    "protocol_version_not_supported",
    `unsupported frontend protocol ${major}.${minor}: server supports ${PROTOCOL_MAJOR}.0 to ${PROTOCOL_MAJOR}.${PROTOCOL_MINOR_MAX}`,
  );
}
