import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { FRONTEND_TYPE } from "../message-type.ts";

/** PasswordMessage (F): answers AuthenticationCleartextPassword and AuthenticationMD5Password. */
export interface Password {
  readonly kind: "password";
  /** Bytes, since a password is in whatever encoding the user typed it. For MD5: `md5` and 32 hex digits. */
  readonly password: Buffer;
}

export function decodePassword(body: Buffer): Password {
  const reader = new BodyReader(body);
  const password = reader.cstringBytes();
  reader.end();
  return { kind: "password", password };
}

export function encodePassword(message: Password, writer: FrameWriter): void {
  writer.begin(FRONTEND_TYPE.password).bytes(message.password).byte(0).end();
}
