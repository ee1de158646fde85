/**
 * SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: what both sides share. The exchanges themselves are
 * in scram-server.ts and scram-client.ts.
 *
 *     client-first   n,,n=*,r=<nonce>
 *     server-first   r=<nonce><nonce>,s=<salt>,i=<iterations>
 *     client-final   c=<channel binding>,r=<nonce><nonce>,p=<proof>
 *     server-final   v=<signature>
 *
 * Source: RFC 5802 and 7677; src/common/scram-common.c. Randomness is passed in.
 */
import { createHash, createHmac, pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { SCRAM_ITERATIONS_MAX } from "../../base/limits.ts";
import { ProtocolViolation } from "../../base/sql-error.ts";
import { saslprep } from "./saslprep.ts";

export const SCRAM_SHA_256 = "SCRAM-SHA-256";
export const SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS";

/** PostgreSQL's scram_iterations and the length of the salts it makes. */
export const SCRAM_ITERATIONS_DEFAULT = 4096;
export const SCRAM_SALT_BYTES = 16;

/** PostgreSQL's SCRAM_RAW_NONCE_LEN: bytes before base64. */
export const SCRAM_NONCE_BYTES = 18;

/** A SHA-256 is the length of every key, signature and proof. */
export const SCRAM_KEY_BYTES = 32;

const pbkdf2Async = promisify(pbkdf2);

/** What a server stores of a password: enough to check a proof, not enough to make one. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; undefined where the text is no verifier. */
export function parseScramVerifier(text: string): ScramVerifier | undefined {
  const match = /^SCRAM-SHA-256\$([0-9]{1,10}):([^$:]+)\$([^$:]+):([^$:]+)$/.exec(text);
  if (match === null) return undefined;
  const iterations = Number(match[1]);
  const [salt, storedKey, serverKey] = match.slice(2).map(decodeBase64);
  if (iterations < 1 || salt === undefined || salt.length === 0) return undefined;
  if (storedKey?.length !== SCRAM_KEY_BYTES) return undefined;
  if (serverKey?.length !== SCRAM_KEY_BYTES) return undefined;
  return { iterations, salt, storedKey, serverKey };
}

export function formatScramVerifier(verifier: ScramVerifier): string {
  const { iterations, salt, storedKey, serverKey } = verifier;
  const [saltText, stored, server] = [salt, storedKey, serverKey].map((each) =>
    each.toString("base64"),
  );
  return `${SCRAM_SHA_256}$${iterations}:${saltText}$${stored}:${server}`;
}

/** The verifier of a password. Costs `iterations` hashes on a thread of the pool. */
export async function makeScramVerifier(
  password: Buffer,
  salt: Buffer,
  iterations: number,
): Promise<ScramVerifier> {
  const { storedKey, serverKey } = await deriveScramKeys(password, salt, iterations);
  return { iterations, salt, storedKey, serverKey };
}

export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export async function deriveScramKeys(
  password: Buffer,
  salt: Buffer,
  iterations: number,
): Promise<ScramKeys> {
  if (iterations > SCRAM_ITERATIONS_MAX) {
    throw new ProtocolViolation(
      `SCRAM iteration count ${iterations} exceeds the limit of ${SCRAM_ITERATIONS_MAX}`,
    );
  }
  const salted = await pbkdf2Async(saslprep(password), salt, iterations, SCRAM_KEY_BYTES, "sha256");
  const clientKey = hmacSha256(salted, "Client Key");
  const serverKey = hmacSha256(salted, "Server Key");
  return { clientKey, storedKey: sha256(clientKey), serverKey };
}

export function hmacSha256(key: Buffer, data: string): Buffer {
  return createHmac("sha256", key).update(data, "latin1").digest();
}

export function sha256(data: Buffer): Buffer {
  return createHash("sha256").update(data).digest();
}

export function xor(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)));
}

/** Strict: Buffer's own decoder skips what is no base64, which would give two spellings to one proof. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

/**
 * The attributes of a message in their order: `r=abc,s=def`. Messages are handled as
 * latin1, so that every byte survives and the authentication message is what was sent.
 */
export class AttributeReader {
  #rest: string;

  constructor(message: string) {
    this.#rest = message;
  }

  /** The letter of the next attribute, or undefined at the end. */
  peek(): string | undefined {
    return this.#rest[0];
  }

  /** The value of the next attribute, which must be this one. */
  read(letter: string): string {
    if (!this.#rest.startsWith(`${letter}=`)) {
      throw malformed(`Expected attribute "${letter}".`);
    }
    const comma = this.#rest.indexOf(",");
    const end = comma < 0 ? this.#rest.length : comma;
    const value = this.#rest.slice(2, end);
    this.#rest = this.#rest.slice(end + 1);
    return value;
  }

  /** Extensions that are not known may be skipped; a mandatory one (`m`) never stands here. */
  skipExtensions(until: string | undefined): void {
    for (let letter = this.peek(); letter !== undefined && letter !== until;) {
      if (!/[A-Za-z]/.test(letter)) throw malformed("Attribute expected.");
      this.read(letter);
      letter = this.peek();
    }
  }
}

/** RFC 5802: printable ASCII but the comma. */
export function isNonce(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text);
}

export function malformed(detail: string): ProtocolViolation {
  return new ProtocolViolation(`malformed SCRAM message: ${detail}`);
}
