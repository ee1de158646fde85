/**
 * A byte stream to a server: TCP or a unix socket, with TLS agreed on as PostgreSQL does,
 * by an SSLRequest before anything else. It knows nothing of messages after that.
 *
 * Plain sockets read into one buffer that all of them share: whoever listens copies what it
 * keeps before the next read.
 */
import { readFile } from "node:fs/promises";
import net from "node:net";
import tls from "node:tls";
import { BACKEND_KEEPALIVE_MS } from "../../base/limits.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { SHARED_READ_BUFFER } from "../protocol/shared-read-buffer.ts";
import { encodeStartup } from "../protocol/startup.ts";
import { socketPath } from "./backend-address.ts";
import type { BackendAddress } from "./backend-address.ts";
import { TlsFailure } from "./connect-error.ts";

/** `offered` takes TLS where the server has it; the others take what they say or fail. */
export type Encryption = "plain" | "offered" | "tls";

const SSL_REQUEST = encodeToBuffer(encodeStartup, { kind: "sslRequest" });

const LETTER_S = "S".charCodeAt(0);
const LETTER_N = "N".charCodeAt(0);
const LETTER_E = "E".charCodeAt(0);

export interface SocketListener {
  /** What was read are the first `length` bytes. Where they are shared, they are gone after the call. */
  onBytes(bytes: Buffer, length: number, isShared: boolean): void;
  /** Once, after the last chunk. The error where there was one; an ordinary close has none. */
  onEnd(error: Error | undefined): void;
  /** Unsent bytes have gone out. */
  onDrain(): void;
}

export class BackendSocket {
  #stream: net.Socket;
  #listener: SocketListener;
  #error: Error | undefined;
  #isEnded = false;

  /**
   * Connects, and agrees on TLS. Rejects with the network's own error, TlsFailure, or the
   * signal's reason; nothing is left open then.
   */
  static async open(
    address: BackendAddress,
    encryption: Encryption,
    signal: AbortSignal,
  ): Promise<BackendSocket> {
    const socket = new BackendSocket(address);
    const abort = (): void => socket.destroy(asError(signal.reason));
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      await socket.#connected();
      // TLS on a unix socket is not a thing in PostgreSQL: libpq ignores sslmode there.
      if (encryption !== "plain" && address.server.kind === "tcp") {
        await socket.#agreeOnTls(address, encryption);
      }
      return socket;
    } catch (error) {
      socket.destroy();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  constructor(address: BackendAddress) {
    this.#listener = SILENT;
    this.#stream = net.connect({
      ...destination(address),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: BACKEND_KEEPALIVE_MS,
      onread: {
        buffer: SHARED_READ_BUFFER,
        callback: (bytes, buffer) => {
          this.#listener.onBytes(buffer as Buffer, bytes, true);
          return true;
        },
      },
    });
    this.#watch(this.#stream);
  }

  get isEncrypted(): boolean {
    return this.#stream instanceof tls.TLSSocket;
  }

  /** DER of the server's certificate; undefined without TLS. */
  get serverCertificate(): Buffer | undefined {
    return this.#stream instanceof tls.TLSSocket
      ? this.#stream.getPeerCertificate(true).raw
      : undefined;
  }

  /** `127.0.0.1:41234`; of a unix socket there is none. */
  get localAddress(): string | undefined {
    const { localAddress, localPort } = this.#stream;
    return localAddress === undefined ? undefined : `${localAddress}:${localPort}`;
  }

  /** `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS. */
  get encryption(): string {
    const stream = this.#stream;
    if (!(stream instanceof tls.TLSSocket)) return "";
    return `${stream.getProtocol()}/${stream.getCipher().name}`;
  }

  get receivedBytes(): number {
    return this.#stream.bytesRead;
  }

  get sentBytes(): number {
    return this.#stream.bytesWritten;
  }

  /** Bytes written that the kernel has not taken yet. */
  get unsentBytes(): number {
    return this.#stream.writableLength;
  }

  listen(listener: SocketListener): void {
    this.#listener = listener;
    if (this.#isEnded) listener.onEnd(this.#error);
  }

  /** The bytes must not change afterwards: a write may finish later. */
  write(bytes: Buffer): void {
    if (!this.#isEnded) this.#stream.write(bytes);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Sends what is written, then closes. */
  end(): void {
    this.#stream.end();
    this.#stream.resume();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#stream.destroy();
  }

  #watch(stream: net.Socket): void {
    stream.on("error", (error) => {
      this.#error ??= error;
    });
    stream.on("end", () => this.#end());
    stream.on("close", () => this.#end());
    stream.on("drain", () => this.#listener.onDrain());
  }

  #end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#listener.onEnd(this.#error);
    this.#stream.destroy();
  }

  #connected(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.once("connect", resolve);
      this.listen({ ...SILENT, onEnd: (error) => reject(error ?? closedEarly()) });
    });
  }

  async #agreeOnTls(address: BackendAddress, encryption: "offered" | "tls"): Promise<void> {
    const answer = await this.#askForTls();
    if (answer === "refused" && encryption === "tls") {
      throw new TlsFailure("server does not support TLS");
    }
    if (answer === "agreed") await this.#secure(await tlsOptions(address));
  }

  /**
   * The answer is one byte. More than one would be bytes that somebody put in before TLS, to
   * be taken for encrypted ones afterwards (CVE-2021-23222).
   */
  #askForTls(): Promise<"agreed" | "refused"> {
    return new Promise((resolve, reject) => {
      this.listen({
        ...SILENT,
        onEnd: (error) => reject(error ?? closedEarly()),
        onBytes: ([answer], length) => {
          if (length > 1 && answer !== LETTER_E) {
            reject(new TlsFailure("received unencrypted data after the answer to SSLRequest"));
          } else if (answer === LETTER_S) resolve("agreed");
          else if (answer === LETTER_N || answer === LETTER_E) resolve("refused");
          else reject(new TlsFailure("received an invalid answer to SSLRequest"));
        },
      });
      this.#stream.write(SSL_REQUEST);
    });
  }

  #secure(options: tls.ConnectionOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const plain = this.#stream;
      plain.removeAllListeners("end").removeAllListeners("close").removeAllListeners("drain");
      const secured = tls.connect({ ...options, socket: plain }, () => resolve());
      this.#stream = secured;
      this.#watch(secured);
      this.listen({
        ...SILENT,
        onEnd: (error) => reject(new TlsFailure(error?.message ?? "connection closed", error)),
      });
      secured.on("data", (chunk: Buffer) => this.#listener.onBytes(chunk, chunk.length, false));
    });
  }
}

const SILENT: SocketListener = {
  onBytes: () => undefined,
  onEnd: () => undefined,
  onDrain: () => undefined,
};

function destination({ server }: BackendAddress): net.IpcNetConnectOpts | net.TcpNetConnectOpts {
  if (server.kind === "unix") return { path: socketPath(server) };
  return { host: server.host, port: server.port };
}

/** libpq's meaning of each sslmode; require verifies where a root certificate is given, as libpq's does. */
async function tlsOptions(address: BackendAddress): Promise<tls.ConnectionOptions> {
  const { server, sslMode, sslRootCertificate, sslCertificate, sslKey } = address;
  const host = server.kind === "tcp" ? server.host : "";
  const isVerifying =
    sslMode === "verify-full" ||
    sslMode === "verify-ca" ||
    (sslMode === "require" && sslRootCertificate !== undefined);
  const usesOwnRoots = isVerifying && sslRootCertificate !== "system";
  return {
    host,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["postgresql"],
    rejectUnauthorized: isVerifying,
    ...(net.isIP(host) === 0 && { servername: host }),
    ...(sslMode !== "verify-full" && { checkServerIdentity: () => undefined }),
    ...(usesOwnRoots && { ca: await readPem("sslrootcert", sslRootCertificate) }),
    ...(sslCertificate !== undefined && { cert: await readPem("sslcert", sslCertificate) }),
    ...(sslKey !== undefined && { key: await readPem("sslkey", sslKey) }),
  };
}

async function readPem(parameter: string, path: string | undefined): Promise<Buffer> {
  try {
    return await readFile(path ?? "");
  } catch (cause) {
    throw new TlsFailure(`${parameter} cannot be read: ${asError(cause).message}`, cause);
  }
}

function closedEarly(): Error {
  return new Error("server closed the connection");
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
