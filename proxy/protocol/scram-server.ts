/**
 * The server's side of one SCRAM exchange.
 *
 *   awaitingFirst ─▶ awaitingFinal ─▶ ended
 *
 * It knows no users: a caller gives it the verifier, or a mock one for a user that does not
 * exist, so that an attacker cannot tell the two apart.
 * Source: src/backend/libpq/auth-scram.c.
 */
import { timingSafeEqual } from "node:crypto";
import { invariant } from "../../base/invariant.ts";
import { SqlError } from "../../base/sql-error.ts";
import {
  AttributeReader,
  decodeBase64,
  hmacSha256,
  isNonce,
  malformed,
  SCRAM_ITERATIONS_DEFAULT,
  SCRAM_KEY_BYTES,
  SCRAM_SALT_BYTES,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
  sha256,
  xor,
} from "./scram.ts";
import type { ScramVerifier } from "./scram.ts";

export interface ScramServerOptions {
  readonly verifier: ScramVerifier;
  /** True for a mock verifier: the exchange runs its course, and fails. */
  readonly isDoomed: boolean;
  /** Fresh and random: SCRAM_NONCE_BYTES in base64. */
  readonly nonce: string;
  /** The hash of our certificate where the connection is TLS and PLUS was offered. */
  readonly certificateHash: Buffer | undefined;
}

type State =
  | { readonly kind: "awaitingFirst" }
  | {
      readonly kind: "awaitingFinal";
      readonly clientFirstBare: string;
      readonly serverFirst: string;
      readonly nonce: string;
      /** What `c=` must hold. */
      readonly channelBinding: string;
      readonly isBound: boolean;
    }
  | { readonly kind: "ended" };

export class ScramServer {
  readonly #options: ScramServerOptions;
  #state: State = { kind: "awaitingFirst" };

  constructor(options: ScramServerOptions) {
    this.#options = options;
  }

  /** Takes client-first, gives server-first. Throws ProtocolViolation, or SqlError for a binding refused. */
  first(mechanism: string, clientFirst: Buffer): Buffer {
    invariant(this.#state.kind === "awaitingFirst", "a SCRAM exchange begins once");
    const { verifier, nonce, certificateHash } = this.#options;
    const { gs2Header, isBound, bare } = parseGs2Header(clientFirst.toString("latin1"));
    checkBinding(gs2Header, mechanism, certificateHash !== undefined);
    const clientNonce = parseClientFirstBare(bare);
    const joined = clientNonce + nonce;
    const salt = verifier.salt.toString("base64");
    const serverFirst = `r=${joined},s=${salt},i=${verifier.iterations}`;
    const header = Buffer.from(gs2Header, "latin1");
    const bound = isBound && certificateHash !== undefined ? [header, certificateHash] : [header];
    this.#state = {
      kind: "awaitingFinal",
      clientFirstBare: bare,
      serverFirst,
      nonce: joined,
      channelBinding: Buffer.concat(bound).toString("base64"),
      isBound,
    };
    return Buffer.from(serverFirst, "latin1");
  }

  /** Takes client-final, gives server-final, or undefined where the proof is of another password. */
  final(clientFinal: Buffer): Buffer | undefined {
    const state = this.#state;
    invariant(state.kind === "awaitingFinal", "client-final follows client-first");
    this.#state = { kind: "ended" };
    const { withoutProof, channelBinding, nonce, proof } = parseClientFinal(
      clientFinal.toString("latin1"),
    );
    if (channelBinding !== state.channelBinding) throw bindingFailed(state.isBound);
    if (nonce !== state.nonce) throw malformed("Nonce does not match.");

    const { storedKey, serverKey } = this.#options.verifier;
    const authMessage = `${state.clientFirstBare},${state.serverFirst},${withoutProof}`;
    const clientKey = xor(proof, hmacSha256(storedKey, authMessage));
    const isProven = timingSafeEqual(sha256(clientKey), storedKey);
    if (!isProven || this.#options.isDoomed) return undefined;
    return Buffer.from(`v=${hmacSha256(serverKey, authMessage).toString("base64")}`, "latin1");
  }
}

/**
 * A verifier for a user that does not exist: its salt follows from the name and a secret of
 * this process, so that asking twice gives the same one, as a real user's would.
 */
export function mockScramVerifier(user: string, secret: Buffer): ScramVerifier {
  const salt = sha256(Buffer.concat([Buffer.from(user, "utf8"), secret]));
  return {
    iterations: SCRAM_ITERATIONS_DEFAULT,
    salt: salt.subarray(0, SCRAM_SALT_BYTES),
    storedKey: Buffer.alloc(SCRAM_KEY_BYTES),
    serverKey: Buffer.alloc(SCRAM_KEY_BYTES),
  };
}

/** `n,,`, `y,,` or `p=tls-server-end-point,,`, then the bare message. */
function parseGs2Header(clientFirst: string): {
  gs2Header: string;
  isBound: boolean;
  bare: string;
} {
  const match = /^(n|y|p=([A-Za-z0-9.-]+)),([^,]*),/.exec(clientFirst);
  if (match === null) throw malformed("Unexpected channel-binding flag.");
  const [gs2Header, , bindingType, authorization] = match;
  if (authorization !== "") {
    throw malformed("Client uses authorization identity, but it is not supported.");
  }
  if (bindingType !== undefined && bindingType !== "tls-server-end-point") {
    throw malformed(`Unsupported SCRAM channel-binding type "${bindingType}".`);
  }
  const isBound = bindingType !== undefined;
  return { gs2Header, isBound, bare: clientFirst.slice(gs2Header.length) };
}

/** What the client says of channel binding must agree with the mechanism it chose and with what was offered. */
function checkBinding(gs2Header: string, mechanism: string, isOffered: boolean): void {
  if (mechanism !== SCRAM_SHA_256 && !(mechanism === SCRAM_SHA_256_PLUS && isOffered)) {
    throw malformed("Client selected an invalid SASL authentication mechanism.");
  }
  const isBound = gs2Header.startsWith("p");
  if (isBound !== (mechanism === SCRAM_SHA_256_PLUS)) {
    throw malformed("Channel-binding data does not fit the mechanism.");
  }
  // A client that could bind but was told we cannot: someone in between took PLUS away.
  if (gs2Header.startsWith("y") && isOffered) {
    throw new SqlError("channel_binding_failed", "SCRAM channel binding negotiation error", {
      detail:
        "The client supports SCRAM channel binding but thinks the server does not. However, this server does support channel binding.",
    });
  }
}

/** `n=<user>,r=<nonce>[,extensions]`. The user is the start-up packet's; this one is ignored, as by PostgreSQL. */
function parseClientFirstBare(bare: string): string {
  const attributes = new AttributeReader(bare);
  if (attributes.peek() === "m") throw malformed("Client requires an unsupported SCRAM extension.");
  attributes.read("n");
  const nonce = attributes.read("r");
  if (!isNonce(nonce)) throw malformed("Non-printable characters in SCRAM nonce.");
  attributes.skipExtensions(undefined);
  return nonce;
}

interface ClientFinal {
  readonly withoutProof: string;
  readonly channelBinding: string;
  readonly nonce: string;
  readonly proof: Buffer;
}

function parseClientFinal(clientFinal: string): ClientFinal {
  const attributes = new AttributeReader(clientFinal);
  const channelBinding = attributes.read("c");
  const nonce = attributes.read("r");
  attributes.skipExtensions("p");
  const proof = decodeBase64(attributes.read("p"));
  if (proof?.length !== SCRAM_KEY_BYTES)
    throw malformed("Malformed proof in client-final-message.");
  if (attributes.peek() !== undefined) {
    throw malformed("Garbage found at the end of client-final-message.");
  }
  const withoutProof = clientFinal.slice(0, clientFinal.lastIndexOf(",p="));
  return { withoutProof, channelBinding, nonce, proof };
}

function bindingFailed(isBound: boolean): Error {
  if (!isBound)
    return malformed("Unexpected SCRAM channel-binding attribute in client-final-message.");
  return new SqlError("channel_binding_failed", "SCRAM channel binding check failed");
}
