import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { unreachable } from "../../../base/invariant.ts";
import { ProtocolViolation } from "../../../base/sql-error.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** Authentication* (B): what the server wants of the client before it lets it in; one type byte, told apart by a code. */
export type Authentication =
  | { readonly kind: "authenticationOk" }
  | { readonly kind: "authenticationKerberosV5" }
  | { readonly kind: "authenticationCleartextPassword" }
  | { readonly kind: "authenticationMd5Password"; readonly salt: Buffer }
  | { readonly kind: "authenticationScmCredential" }
  | { readonly kind: "authenticationGss" }
  | { readonly kind: "authenticationGssContinue"; readonly data: Buffer }
  | { readonly kind: "authenticationSspi" }
  /** Mechanisms in the server's order of preference. */
  | { readonly kind: "authenticationSasl"; readonly mechanisms: readonly string[] }
  | { readonly kind: "authenticationSaslContinue"; readonly data: Buffer }
  | { readonly kind: "authenticationSaslFinal"; readonly data: Buffer };

const CODE = {
  authenticationOk: 0,
  authenticationKerberosV5: 2,
  authenticationCleartextPassword: 3,
  authenticationMd5Password: 5,
  authenticationScmCredential: 6,
  authenticationGss: 7,
  authenticationGssContinue: 8,
  authenticationSspi: 9,
  authenticationSasl: 10,
  authenticationSaslContinue: 11,
  authenticationSaslFinal: 12,
} as const satisfies Readonly<Record<Authentication["kind"], number>>;

const KINDS = new Map<number, Authentication["kind"]>(
  Object.entries(CODE).map(([kind, code]) => [code, kind as Authentication["kind"]]),
);

const MD5_SALT_BYTES = 4;

export function decodeAuthentication(body: Buffer): Authentication {
  const reader = new BodyReader(body);
  const code = reader.int32();
  const kind = KINDS.get(code);
  if (kind === undefined) throw new ProtocolViolation(`unknown authentication request ${code}`);
  const message = decodeRest(kind, reader);
  reader.end();
  return message;
}

function decodeRest(kind: Authentication["kind"], reader: BodyReader): Authentication {
  switch (kind) {
    case "authenticationMd5Password":
      return { kind, salt: reader.bytes(MD5_SALT_BYTES) };
    case "authenticationGssContinue":
    case "authenticationSaslContinue":
    case "authenticationSaslFinal":
      return { kind, data: reader.rest() };
    case "authenticationSasl":
      return { kind, mechanisms: decodeMechanisms(reader) };
    default:
      return { kind };
  }
}

function decodeMechanisms(reader: BodyReader): readonly string[] {
  const mechanisms: string[] = [];
  for (let name = reader.cstring(); name !== ""; name = reader.cstring()) mechanisms.push(name);
  return mechanisms;
}

export function encodeAuthentication(message: Authentication, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.authentication).int32(CODE[message.kind]);
  switch (message.kind) {
    case "authenticationMd5Password":
      writer.bytes(message.salt);
      break;
    case "authenticationGssContinue":
    case "authenticationSaslContinue":
    case "authenticationSaslFinal":
      writer.bytes(message.data);
      break;
    case "authenticationSasl":
      for (const mechanism of message.mechanisms) writer.cstring(mechanism);
      writer.byte(0);
      break;
    case "authenticationOk":
    case "authenticationKerberosV5":
    case "authenticationCleartextPassword":
    case "authenticationScmCredential":
    case "authenticationGss":
    case "authenticationSspi":
      break;
    default:
      unreachable(message);
  }
  writer.end();
}
