/**
 * Proves to a server that we are the user of its URL: by nothing (trust), a password in the
 * clear, md5, or SCRAM-SHA-256 with or without channel binding.
 *
 * As libpq does, a password is given in the clear to a server that asks for it without TLS;
 * sslmode and channel_binding=require are how a URL forbids that.
 */
import { randomBytes } from "node:crypto";
import { ProtocolViolation } from "../../base/sql-error.ts";
import type { Authentication } from "../protocol/backend/authentication.ts";
import { certificateHash } from "../protocol/certificate-hash.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { encodePassword } from "../protocol/frontend/password.ts";
import { encodeSaslInitialResponse } from "../protocol/frontend/sasl-initial-response.ts";
import { encodeSaslResponse } from "../protocol/frontend/sasl-response.ts";
import { md5Response, md5Secret } from "../protocol/md5.ts";
import { SCRAM_NONCE_BYTES, SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from "../protocol/scram.ts";
import { ScramClient } from "../protocol/scram-client.ts";
import type { ChannelBinding } from "../protocol/scram-client.ts";
import type { BackendAddress } from "./backend-address.ts";
import { AuthenticationImpossible } from "./connect-error.ts";

export type AuthenticationAnswer =
  | { readonly kind: "send"; readonly bytes: Buffer }
  /** The server had the last word of an exchange; its verdict follows. */
  | { readonly kind: "wait" }
  /** We are in. */
  | { readonly kind: "done" };

type Sasl =
  | { readonly kind: "none" }
  | { readonly kind: "running"; readonly client: ScramClient }
  | { readonly kind: "verified"; readonly isBound: boolean };

const WAIT: AuthenticationAnswer = { kind: "wait" };

/** One dialogue's answers, in order. */
export class AuthenticationAnswers {
  readonly #address: BackendAddress;
  readonly #serverCertificate: Buffer | undefined;
  #sasl: Sasl = { kind: "none" };

  /** The certificate is the server's in DER; undefined without TLS. */
  constructor(address: BackendAddress, serverCertificate: Buffer | undefined) {
    this.#address = address;
    this.#serverCertificate = serverCertificate;
  }

  /** Throws AuthenticationImpossible or ProtocolViolation. */
  async to(request: Authentication): Promise<AuthenticationAnswer> {
    switch (request.kind) {
      case "authenticationOk":
        this.#checkComplete();
        return { kind: "done" };
      case "authenticationCleartextPassword":
        this.#refuseWithoutBinding();
        return this.#sendPassword(this.#password());
      case "authenticationMd5Password":
        this.#refuseWithoutBinding();
        return this.#sendPassword(
          Buffer.from(
            md5Response(md5Secret(this.#address.user, this.#password()), request.salt),
            "latin1",
          ),
        );
      case "authenticationSasl":
        return this.#beginSasl(request.mechanisms);
      case "authenticationSaslContinue":
        return await this.#continueSasl(request.data);
      case "authenticationSaslFinal":
        return this.#endSasl(request.data);
      default:
        throw new AuthenticationImpossible(
          `server asks for an authentication method that is not supported (${request.kind})`,
        );
    }
  }

  #sendPassword(password: Buffer): AuthenticationAnswer {
    const bytes = encodeToBuffer(encodePassword, { kind: "password", password });
    return { kind: "send", bytes };
  }

  #beginSasl(mechanisms: readonly string[]): AuthenticationAnswer {
    if (this.#sasl.kind !== "none") throw new ProtocolViolation("duplicate SASL request");
    const client = new ScramClient({
      password: this.#password(),
      nonce: randomBytes(SCRAM_NONCE_BYTES).toString("base64"),
      channelBinding: this.#chooseBinding(mechanisms),
    });
    if (!mechanisms.includes(client.mechanism)) {
      throw new AuthenticationImpossible(
        `server offers no SASL mechanism that is supported (${mechanisms.join(", ")})`,
      );
    }
    this.#sasl = { kind: "running", client };
    const { mechanism } = client;
    return {
      kind: "send",
      bytes: encodeToBuffer(encodeSaslInitialResponse, {
        kind: "saslInitialResponse",
        mechanism,
        data: client.first(),
      }),
    };
  }

  #chooseBinding(mechanisms: readonly string[]): ChannelBinding {
    const { channelBinding } = this.#address;
    const isOffered = mechanisms.includes(SCRAM_SHA_256_PLUS);
    const hash =
      this.#serverCertificate === undefined || channelBinding === "disable"
        ? undefined
        : certificateHash(this.#serverCertificate);
    if (isOffered && hash !== undefined)
      return { kind: "tlsServerEndPoint", certificateHash: hash };
    this.#refuseWithoutBinding();
    return hash === undefined ? { kind: "unsupported" } : { kind: "notOffered" };
  }

  async #continueSasl(data: Buffer): Promise<AuthenticationAnswer> {
    if (this.#sasl.kind !== "running") throw new ProtocolViolation("no SASL exchange is running");
    const final = await this.#sasl.client.final(data);
    const bytes = encodeToBuffer(encodeSaslResponse, { kind: "saslResponse", data: final });
    return { kind: "send", bytes };
  }

  #endSasl(data: Buffer): AuthenticationAnswer {
    if (this.#sasl.kind !== "running") throw new ProtocolViolation("no SASL exchange is running");
    const { client } = this.#sasl;
    client.verify(data);
    this.#sasl = { kind: "verified", isBound: client.mechanism !== SCRAM_SHA_256 };
    return WAIT;
  }

  /** A server that lets us in before it has proven that it knows the password is not the one we mean. */
  #checkComplete(): void {
    if (this.#sasl.kind === "running") {
      throw new ProtocolViolation("server ended the SCRAM exchange without proving itself");
    }
    if (this.#sasl.kind === "none" || !this.#sasl.isBound) this.#refuseWithoutBinding();
  }

  #refuseWithoutBinding(): void {
    if (this.#address.channelBinding === "require") {
      throw new AuthenticationImpossible(
        "channel binding is required by channel_binding=require, but the server did not offer it",
      );
    }
  }

  #password(): Buffer {
    const { password } = this.#address;
    if (password === undefined) {
      throw new AuthenticationImpossible("server asks for a password and the URL gives none");
    }
    return Buffer.from(password, "utf8");
  }
}
