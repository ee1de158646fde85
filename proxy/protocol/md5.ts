/**
 * PostgreSQL's md5 password method: `md5` and the hex of md5(password, user), which is what
 * pg_authid and a users file store, hashed once more with the salt of one connection.
 * Source: src/common/md5_common.c, pg_md5_encrypt.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** What is stored: `md5` and 32 hex digits. */
export type Md5Secret = `md5${string}`;

export function isMd5Secret(secret: string): secret is Md5Secret {
  return /^md5[0-9a-f]{32}$/.test(secret);
}

export function md5Secret(user: string, password: Buffer): Md5Secret {
  return md5Hex(password, Buffer.from(user, "utf8"));
}

/** What the client sends for the four bytes of salt it was given. */
export function md5Response(secret: Md5Secret, salt: Buffer): Md5Secret {
  return md5Hex(Buffer.from(secret.slice("md5".length), "latin1"), salt);
}

export function isMd5Response(secret: Md5Secret, salt: Buffer, response: Buffer): boolean {
  const expected = Buffer.from(md5Response(secret, salt), "latin1");
  return expected.length === response.length && timingSafeEqual(expected, response);
}

function md5Hex(...parts: readonly Buffer[]): Md5Secret {
  const hash = createHash("md5");
  for (const part of parts) hash.update(part);
  return `md5${hash.digest("hex")}`;
}
