/**
 * The client's side of one SCRAM exchange.
 *
 *   start ─▶ awaitingServerFirst ─▶ awaitingServerFinal ─▶ ended
 *
 * The server proves itself, too: only after `verify` has returned does it hold that the
 * peer knows the password. Source: src/interfaces/libpq/fe-auth-scram.c.
 */
import { timingSafeEqual } from "node:crypto";
import { invariant } from "../../base/invariant.ts";
import { ProtocolViolation } from "../../base/sql-error.ts";
import {
  AttributeReader,
  decodeBase64,
  deriveScramKeys,
  hmacSha256,
  isNonce,
  malformed,
  SCRAM_KEY_BYTES,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
  xor,
} from "./scram.ts";

/** What the client can do about binding the exchange to its TLS connection. */
export type ChannelBinding =
  /** No TLS, or a certificate without a usable hash: `n`. */
  | { readonly kind: "unsupported" }
  /** TLS, but the server did not offer PLUS: `y`, by which a server that did finds out. */
  | { readonly kind: "notOffered" }
  /** PLUS: the hash of the server's certificate, from certificate-hash.ts. */
  | { readonly kind: "tlsServerEndPoint"; readonly certificateHash: Buffer };

export interface ScramClientOptions {
  readonly password: Buffer;
  /** Fresh and random: SCRAM_NONCE_BYTES in base64. */
  readonly nonce: string;
  readonly channelBinding: ChannelBinding;
}

type State =
  | { readonly kind: "start" }
  | { readonly kind: "awaitingServerFirst"; readonly clientFirstBare: string }
  | { readonly kind: "awaitingServerFinal"; readonly serverSignature: Buffer }
  | { readonly kind: "ended" };

export class ScramClient {
  readonly mechanism: typeof SCRAM_SHA_256 | typeof SCRAM_SHA_256_PLUS;
  readonly #options: ScramClientOptions;
  #state: State = { kind: "start" };

  constructor(options: ScramClientOptions) {
    this.#options = options;
    this.mechanism =
      options.channelBinding.kind === "tlsServerEndPoint" ? SCRAM_SHA_256_PLUS : SCRAM_SHA_256;
  }

  /** client-first. PostgreSQL takes the user from the start-up packet, so none is named here. */
  first(): Buffer {
    invariant(this.#state.kind === "start", "a SCRAM exchange begins once");
    const clientFirstBare = `n=,r=${this.#options.nonce}`;
    this.#state = { kind: "awaitingServerFirst", clientFirstBare };
    return Buffer.from(gs2Header(this.#options.channelBinding) + clientFirstBare, "latin1");
  }

  /** Takes server-first, gives client-final. */
  async final(serverFirst: Buffer): Promise<Buffer> {
    const state = this.#state;
    invariant(state.kind === "awaitingServerFirst", "server-first follows client-first");
    const { password, nonce, channelBinding } = this.#options;
    const message = serverFirst.toString("latin1");
    const server = parseServerFirst(message);
    if (!server.nonce.startsWith(nonce) || server.nonce.length === nonce.length) {
      throw malformed("Nonce does not match.");
    }
    const withoutProof = `c=${bindingData(channelBinding).toString("base64")},r=${server.nonce}`;
    const authMessage = `${state.clientFirstBare},${message},${withoutProof}`;
    const keys = await deriveScramKeys(password, server.salt, server.iterations);
    const proof = xor(keys.clientKey, hmacSha256(keys.storedKey, authMessage));
    this.#state = {
      kind: "awaitingServerFinal",
      serverSignature: hmacSha256(keys.serverKey, authMessage),
    };
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`, "latin1");
  }

  /** Takes server-final; throws unless it proves that the server knows the verifier. */
  verify(serverFinal: Buffer): void {
    const state = this.#state;
    invariant(state.kind === "awaitingServerFinal", "server-final follows client-final");
    this.#state = { kind: "ended" };
    const attributes = new AttributeReader(serverFinal.toString("latin1"));
    if (attributes.peek() === "e") {
      throw new ProtocolViolation(
        `error received from server in SCRAM exchange: ${attributes.read("e")}`,
      );
    }
    const signature = decodeBase64(attributes.read("v"));
    if (
      signature?.length !== SCRAM_KEY_BYTES ||
      !timingSafeEqual(signature, state.serverSignature)
    ) {
      throw new ProtocolViolation("incorrect server signature");
    }
  }
}

function gs2Header(binding: ChannelBinding): string {
  switch (binding.kind) {
    case "unsupported":
      return "n,,";
    case "notOffered":
      return "y,,";
    case "tlsServerEndPoint":
      return "p=tls-server-end-point,,";
  }
}

function bindingData(binding: ChannelBinding): Buffer {
  const header = Buffer.from(gs2Header(binding), "latin1");
  return binding.kind === "tlsServerEndPoint"
    ? Buffer.concat([header, binding.certificateHash])
    : header;
}

interface ServerFirst {
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

function parseServerFirst(message: string): ServerFirst {
  const attributes = new AttributeReader(message);
  if (attributes.peek() === "m") throw malformed("Server requires an unsupported SCRAM extension.");
  const nonce = attributes.read("r");
  const salt = decodeBase64(attributes.read("s"));
  const iterations = attributes.read("i");
  attributes.skipExtensions(undefined);
  if (!isNonce(nonce)) throw malformed("Non-printable characters in SCRAM nonce.");
  if (salt === undefined || salt.length === 0) throw malformed("Invalid salt.");
  if (!/^[1-9][0-9]{0,9}$/.test(iterations)) throw malformed("Invalid iteration count.");
  return { nonce, salt, iterations: Number(iterations) };
}
