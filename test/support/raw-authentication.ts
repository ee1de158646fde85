/** The client's half of md5 and SCRAM-SHA-256 authentication (RFC 5802), for tests. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";

export function md5Password(user: string, password: string, salt: Buffer): string {
  const inner = createHash("md5")
    .update(password + user)
    .digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}

export class ScramExchange {
  readonly #password: string;
  readonly #nonce = randomBytes(18).toString("base64");
  #serverSignature = "";

  constructor(password: string) {
    this.#password = password;
  }

  clientFirst(): string {
    return `n,,n=,r=${this.#nonce}`;
  }

  clientFinal(serverFirst: string): string {
    const { r: nonce = "", s: salt = "", i: iterations = "" } = attributes(serverFirst);
    if (!nonce.startsWith(this.#nonce)) throw new Error("the server changed the client's nonce");
    const salted = pbkdf2Sync(
      this.#password,
      Buffer.from(salt, "base64"),
      Number(iterations),
      32,
      "sha256",
    );
    const clientKey = hmac(salted, "Client Key");
    const storedKey = createHash("sha256").update(clientKey).digest();
    const withoutProof = `c=biws,r=${nonce}`;
    const message = `n=,r=${this.#nonce},${serverFirst},${withoutProof}`;
    const signature = hmac(storedKey, message);
    const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
    this.#serverSignature = hmac(hmac(salted, "Server Key"), message).toString("base64");
    return `${withoutProof},p=${proof.toString("base64")}`;
  }

  /** Throws unless the server knew the password too. */
  verify(serverFinal: string): void {
    if (attributes(serverFinal)["v"] !== this.#serverSignature)
      throw new Error("the server's signature is wrong");
  }
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function attributes(text: string): Record<string, string> {
  return Object.fromEntries(text.split(",").map((part) => [part.slice(0, 1), part.slice(2)]));
}
