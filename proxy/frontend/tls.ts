/** TLS towards clients: version 1.2 and later, one certificate, no client certificates. */
import { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import type { SecureContext } from "node:tls";
import { certificateHash } from "../protocol/certificate-hash.ts";

export interface FrontendTlsOptions {
  /** PEM: the certificate, then those above it. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
  /** Clients without TLS are refused. */
  readonly isRequired: boolean;
}

/** The name a client offers that begins with TLS at once, without an SSLRequest. */
export const ALPN_PROTOCOL = "postgresql";

/** The first byte of a TLS handshake record; no start-up packet begins with it, since none is that long. */
export const TLS_HANDSHAKE_BYTE = 0x16;

export class FrontendTls {
  readonly isRequired: boolean;
  /** What SCRAM-SHA-256-PLUS binds to; undefined where the certificate's signature has no hash. */
  readonly certificateHash: Buffer | undefined;
  readonly #context: SecureContext;

  /** Throws where the two are no certificate and its key. */
  constructor(options: FrontendTlsOptions) {
    this.isRequired = options.isRequired;
    this.#context = createSecureContext({
      cert: options.cert,
      key: options.key,
      minVersion: "TLSv1.2",
    });
    this.certificateHash = certificateHash(new X509Certificate(options.cert).raw);
  }

  /** The handshake runs as the result is read; what the socket holds unread is taken for its beginning. */
  upgrade(socket: Socket): TLSSocket {
    return new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      ALPNProtocols: [ALPN_PROTOCOL],
    });
  }
}
