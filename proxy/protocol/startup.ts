/**
 * The start-up phase: packets that have a length and no type byte, told apart by the int32
 * that a real start-up uses for its protocol version.
 * Source: the manual's "Message Formats"; src/backend/tcop/backend_startup.c, ProcessStartupPacket.
 */
import { unreachable } from "../../base/invariant.ts";
import { STARTUP_PACKET_BYTES_MAX } from "../../base/limits.ts";
import { ProtocolViolation } from "../../base/sql-error.ts";
import { SECRET_KEY_BYTES_MAX, SECRET_KEY_BYTES_MIN } from "./backend/backend-key-data.ts";
import type { NegotiateProtocolVersion } from "./backend/negotiate-protocol-version.ts";
import { BodyReader } from "./body-reader.ts";
import type { FrameWriter } from "./frame-writer.ts";

export type StartupPacket = SslRequest | GssencRequest | CancelRequest | Startup;

/** Asks for TLS; answered by one byte, `S` or `N`. */
export interface SslRequest {
  readonly kind: "sslRequest";
}

/** Asks for GSSAPI encryption; answered by one byte, `G` or `N`. */
export interface GssencRequest {
  readonly kind: "gssencRequest";
}

/** On a connection of its own; never answered. */
export interface CancelRequest {
  readonly kind: "cancelRequest";
  readonly processId: number;
  readonly secretKey: Buffer;
}

export interface Startup {
  readonly kind: "startup";
  readonly major: number;
  readonly minor: number;
  /** As the client wrote them; of a repeated name the last. */
  readonly parameters: ReadonlyMap<string, string>;
}

const LENGTH_BYTES = 4;
const SSL_REQUEST = 80877103;
const GSSENC_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;

/** The versions spoken: 3.2 gives cancel keys up to 256 bytes, 3.0 four. */
export const PROTOCOL_MAJOR = 3;
export const PROTOCOL_MINOR_MAX = 2;

/** Parameters of this prefix are extensions of the protocol, and none is known. */
const PROTOCOL_EXTENSION_PREFIX = "_pq_.";

/**
 * How many bytes the packet at the front of `arrived` has, its length word included;
 * undefined until that word is there. Throws where no start-up packet can be that long.
 */
export function startupPacketBytes(arrived: Buffer): number | undefined {
  if (arrived.length < LENGTH_BYTES) return undefined;
  const packetBytes = arrived.readUInt32BE(0);
  const contentBytes = packetBytes - LENGTH_BYTES;
  if (contentBytes < 4 || contentBytes > STARTUP_PACKET_BYTES_MAX) {
    throw new ProtocolViolation("invalid length of startup packet");
  }
  return packetBytes;
}

/** Decodes a whole packet, its length word included. */
export function decodeStartup(packet: Buffer): StartupPacket {
  const reader = new BodyReader(packet.subarray(LENGTH_BYTES));
  const code = reader.uint32();
  switch (code) {
    case SSL_REQUEST:
      reader.end();
      return { kind: "sslRequest" };
    case GSSENC_REQUEST:
      reader.end();
      return { kind: "gssencRequest" };
    case CANCEL_REQUEST:
      return decodeCancelRequest(reader);
    default:
      return decodeParameters(code >>> 16, code & 0xffff, reader);
  }
}

function decodeCancelRequest(reader: BodyReader): CancelRequest {
  const processId = reader.int32();
  const secretKey = reader.rest();
  if (secretKey.length < SECRET_KEY_BYTES_MIN || secretKey.length > SECRET_KEY_BYTES_MAX) {
    throw new ProtocolViolation("invalid length of cancel request packet");
  }
  return { kind: "cancelRequest", processId, secretKey };
}

/** The rest of a packet of another major version is not ours to read. */
function decodeParameters(major: number, minor: number, reader: BodyReader): Startup {
  const parameters = new Map<string, string>();
  if (major === PROTOCOL_MAJOR) {
    for (let name = reader.cstring(); name !== ""; name = reader.cstring()) {
      parameters.set(name, reader.cstring());
    }
    if (reader.remaining !== 0) {
      throw new ProtocolViolation(
        "invalid startup packet layout: expected terminator as last byte",
      );
    }
  }
  return { kind: "startup", major, minor, parameters };
}

export function encodeStartup(packet: StartupPacket, writer: FrameWriter): void {
  writer.beginUntyped();
  switch (packet.kind) {
    case "sslRequest":
      writer.int32(SSL_REQUEST);
      break;
    case "gssencRequest":
      writer.int32(GSSENC_REQUEST);
      break;
    case "cancelRequest":
      writer.int32(CANCEL_REQUEST).int32(packet.processId).bytes(packet.secretKey);
      break;
    case "startup":
      writer.int16(packet.major).int16(packet.minor);
      for (const [name, value] of packet.parameters) writer.cstring(name).cstring(value);
      writer.byte(0);
      break;
    default:
      unreachable(packet);
  }
  writer.end();
}

/**
 * What to tell a client that asked for a newer minor version or for protocol extensions:
 * undefined where it asked for nothing we lack. The connection goes on with `minor`.
 */
export function negotiateProtocolVersion(startup: Startup): NegotiateProtocolVersion | undefined {
  const unrecognizedParameters = [...startup.parameters.keys()].filter((name) =>
    name.startsWith(PROTOCOL_EXTENSION_PREFIX),
  );
  if (startup.minor <= PROTOCOL_MINOR_MAX && unrecognizedParameters.length === 0) return undefined;
  return {
    kind: "negotiateProtocolVersion",
    major: PROTOCOL_MAJOR,
    minor: Math.min(startup.minor, PROTOCOL_MINOR_MAX),
    unrecognizedParameters,
  };
}

/** The settings among the parameters, names in lower case: all but what the start-up itself reads. */
export function startupSettings(startup: Startup): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [name, value] of startup.parameters) {
    if (name.startsWith(PROTOCOL_EXTENSION_PREFIX)) continue;
    if (name === "user" || name === "database" || name === "replication" || name === "options") {
      continue;
    }
    settings.set(name.toLowerCase(), value);
  }
  return settings;
}
