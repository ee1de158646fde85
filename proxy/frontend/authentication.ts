/**
 * Proves that a client is who it says: trust, password, md5, scram-sha-256.
 *
 * A user that does not exist, one without a password and a wrong password take the same
 * course and end in the same error, as in PostgreSQL. The method a user meets follows
 * src/backend/libpq/auth.c: md5 becomes SCRAM where the stored secret is a SCRAM verifier.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { encodeAuthentication } from "../protocol/backend/authentication.ts";
import type { Authentication } from "../protocol/backend/authentication.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { decodePassword } from "../protocol/frontend/password.ts";
import { decodeSaslInitialResponse } from "../protocol/frontend/sasl-initial-response.ts";
import { decodeSaslResponse } from "../protocol/frontend/sasl-response.ts";
import { isMd5Response, md5Secret } from "../protocol/md5.ts";
import { FRONTEND_TYPE } from "../protocol/message-type.ts";
import {
  makeScramVerifier,
  SCRAM_ITERATIONS_DEFAULT,
  SCRAM_NONCE_BYTES,
  SCRAM_SALT_BYTES,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
} from "../protocol/scram.ts";
import type { ScramVerifier } from "../protocol/scram.ts";
import { mockScramVerifier, ScramServer } from "../protocol/scram-server.ts";
import type { PullSocket } from "./pull-socket.ts";
import type { StoredSecret, UserStore } from "./user-store.ts";

export type AuthenticationPolicy =
  /** Whoever can connect is let in. */
  | { readonly method: "trust" }
  | { readonly method: "password" | "md5" | "scram-sha-256"; readonly users: UserStore };

/** The connection a user is to be authenticated on. */
export interface AuthenticationChannel {
  readonly socket: PullSocket;
  readonly isTls: boolean;
  /** The hash of our certificate where the connection is TLS and its signature has one. */
  readonly certificateHash: Buffer | undefined;
}

type Outcome = "proven" | "refused" | "gone";

export class Authenticator {
  readonly #policy: AuthenticationPolicy;
  /** Salts the mock verifiers of users that do not exist; as random as the process is new. */
  readonly #mockSecret = randomBytes(32);
  /** Verifiers derived from plain passwords: deriving takes milliseconds, and a user's salt should not change. */
  readonly #derived = new WeakMap<StoredSecret, Promise<ScramVerifier>>();

  constructor(policy: AuthenticationPolicy) {
    this.#policy = policy;
  }

  /**
   * True once the user is proven; false where the client went away. AuthenticationOk is left
   * to the caller. Rejects with SqlError for a refusal and ProtocolViolation for broken messages.
   */
  async authenticate(user: string, channel: AuthenticationChannel): Promise<boolean> {
    if (this.#policy.method === "trust") return true;
    const { method, users } = this.#policy;
    if (method === "password" && !channel.isTls) {
      throw new SqlError(
        "tls_required",
        `password authentication for user "${user}" requires TLS`,
        { detail: "The password would be sent in clear text." },
      );
    }
    const secret = await users.lookup(user);
    const outcome = await this.#run(method, user, secret, channel);
    if (outcome === "refused") {
      throw new SqlError(
        "password_authentication_failed",
        `password authentication failed for user "${user}"`,
      );
    }
    return outcome === "proven";
  }

  #run(
    method: "password" | "md5" | "scram-sha-256",
    user: string,
    secret: StoredSecret | undefined,
    channel: AuthenticationChannel,
  ): Promise<Outcome> {
    if (method === "password") return this.#cleartext(user, secret, channel);
    const isMd5 = method === "md5" && (secret?.kind === "md5" || secret?.kind === "plain");
    return isMd5 ? this.#md5(user, secret, channel) : this.#scram(user, secret, channel);
  }

  async #cleartext(
    user: string,
    secret: StoredSecret | undefined,
    channel: AuthenticationChannel,
  ): Promise<Outcome> {
    send(channel, { kind: "authenticationCleartextPassword" });
    const body = await receive(channel);
    if (body === undefined) return "gone";
    const { password } = decodePassword(body);
    if (password.length === 0 || secret === undefined) return "refused";
    return (await isPassword(user, secret, password)) ? "proven" : "refused";
  }

  async #md5(
    user: string,
    secret: Exclude<StoredSecret, { kind: "scram" }>,
    channel: AuthenticationChannel,
  ): Promise<Outcome> {
    const salt = randomBytes(4);
    send(channel, { kind: "authenticationMd5Password", salt });
    const body = await receive(channel);
    if (body === undefined) return "gone";
    const stored = secret.kind === "md5" ? secret.secret : md5Secret(user, secret.password);
    return isMd5Response(stored, salt, decodePassword(body).password) ? "proven" : "refused";
  }

  async #scram(
    user: string,
    secret: StoredSecret | undefined,
    channel: AuthenticationChannel,
  ): Promise<Outcome> {
    const verifier = await this.#scramVerifier(secret);
    const exchange = new ScramServer({
      verifier: verifier ?? mockScramVerifier(user, this.#mockSecret),
      isDoomed: verifier === undefined,
      nonce: randomBytes(SCRAM_NONCE_BYTES).toString("base64"),
      certificateHash: channel.certificateHash,
    });
    const isPlusOffered = channel.certificateHash !== undefined;
    const mechanisms = isPlusOffered ? [SCRAM_SHA_256_PLUS, SCRAM_SHA_256] : [SCRAM_SHA_256];
    send(channel, { kind: "authenticationSasl", mechanisms });

    const initial = await receive(channel);
    if (initial === undefined) return "gone";
    const { mechanism, data: clientFirst } = decodeSaslInitialResponse(initial);
    if (clientFirst === null) {
      throw new ProtocolViolation("SASLInitialResponse without the client's first SCRAM message");
    }
    const serverFirst = exchange.first(mechanism, clientFirst);
    send(channel, { kind: "authenticationSaslContinue", data: serverFirst });

    const response = await receive(channel);
    if (response === undefined) return "gone";
    const serverFinal = exchange.final(decodeSaslResponse(response).data);
    if (serverFinal === undefined) return "refused";
    send(channel, { kind: "authenticationSaslFinal", data: serverFinal });
    return "proven";
  }

  /** Undefined where the stored secret cannot answer SCRAM: an md5 hash hides the password. */
  async #scramVerifier(secret: StoredSecret | undefined): Promise<ScramVerifier | undefined> {
    if (secret === undefined || secret.kind === "md5") return undefined;
    if (secret.kind === "scram") return secret.verifier;
    let derived = this.#derived.get(secret);
    if (derived === undefined) {
      const salt = randomBytes(SCRAM_SALT_BYTES);
      derived = makeScramVerifier(secret.password, salt, SCRAM_ITERATIONS_DEFAULT);
      this.#derived.set(secret, derived);
    }
    return derived;
  }
}

/** PostgreSQL's plain_crypt_verify. */
async function isPassword(user: string, secret: StoredSecret, password: Buffer): Promise<boolean> {
  switch (secret.kind) {
    case "plain":
      return isSame(secret.password, password);
    case "md5":
      return isSame(Buffer.from(secret.secret), Buffer.from(md5Secret(user, password)));
    case "scram": {
      const { salt, iterations, storedKey } = secret.verifier;
      const derived = await makeScramVerifier(password, salt, iterations);
      return timingSafeEqual(derived.storedKey, storedKey);
    }
  }
}

/** Lengths are compared openly, as PostgreSQL does: they are not what makes a password. */
function isSame(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function send(channel: AuthenticationChannel, message: Authentication): void {
  channel.socket.write(encodeToBuffer(encodeAuthentication, message));
}

/** The body of the client's answer; undefined where it went away. */
async function receive(channel: AuthenticationChannel): Promise<Buffer | undefined> {
  const frame = await channel.socket.frame();
  if (frame === undefined) return undefined;
  if (frame.type !== FRONTEND_TYPE.password) {
    throw new ProtocolViolation(`expected password response, got message type ${frame.type}`);
  }
  return frame.body;
}
