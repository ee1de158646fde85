/**
 * Opens connections to a server: which encryptions to try, in which order, with one deadline
 * over all of it.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { encodeStartup } from "../protocol/startup.ts";
import type { CancelRequest } from "../protocol/startup.ts";
import type { BackendAddress } from "./backend-address.ts";
import { BackendSocket } from "./backend-socket.ts";
import type { Encryption } from "./backend-socket.ts";
import { connectError, ConnectTimeout, StartupRefused, TlsFailure } from "./connect-error.ts";
import { shakeHands } from "./handshake.ts";
import type { Greeting } from "./handshake.ts";
import { RunStream } from "./run-stream.ts";

export interface Connected {
  readonly socket: BackendSocket;
  readonly stream: RunStream;
  readonly greeting: Greeting;
}

export interface ConnectOptions {
  readonly database: DatabaseName;
  readonly settings?: ReadonlyMap<string, string> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly connectTimeoutMs: number;
}

/** Rejects with a SqlError (connect-error.ts), or with the reason of the caller's signal. */
export async function connectBackend(
  address: BackendAddress,
  options: ConnectOptions,
): Promise<Connected> {
  const { database, connectTimeoutMs } = options;
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(new ConnectTimeout(`no answer within ${connectTimeoutMs} ms`)),
    connectTimeoutMs,
  );
  const signals = options.signal === undefined ? [] : [options.signal];
  try {
    return await tryInOrder(address, options, AbortSignal.any([deadline.signal, ...signals]));
  } catch (error) {
    if (options.signal?.aborted === true) throw options.signal.reason;
    throw connectError(database, address, error);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * libpq's order: `allow` turns to TLS and `prefer` away from it, where the server's
 * pg_hba.conf refuses the first way, or TLS fails. A wrong password is wrong either way.
 */
async function tryInOrder(
  address: BackendAddress,
  options: ConnectOptions,
  signal: AbortSignal,
): Promise<Connected> {
  const [first, second] = encryptionsOf(address);
  try {
    return await tryOne(address, options, first, signal);
  } catch (error) {
    if (second === undefined || signal.aborted || !maySucceedOtherwise(error)) throw error;
    return await tryOne(address, options, second, signal);
  }
}

const INVALID_AUTHORIZATION = "28000";

function maySucceedOtherwise(error: unknown): boolean {
  return (
    error instanceof TlsFailure ||
    (error instanceof StartupRefused && error.fields.C === INVALID_AUTHORIZATION)
  );
}

function encryptionsOf({ server, sslMode }: BackendAddress): readonly [Encryption, Encryption?] {
  if (server.kind === "unix" || sslMode === "disable") return ["plain"];
  if (sslMode === "allow") return ["plain", "tls"];
  if (sslMode === "prefer") return ["offered", "plain"];
  return ["tls"];
}

async function tryOne(
  address: BackendAddress,
  options: ConnectOptions,
  encryption: Encryption,
  signal: AbortSignal,
): Promise<Connected> {
  const socket = await BackendSocket.open(address, encryption, signal);
  const stream = new RunStream(socket);
  try {
    const settings = options.settings ?? new Map<string, string>();
    const { serverCertificate } = socket;
    const greeting = await shakeHands(stream, address, settings, serverCertificate, signal);
    return { socket, stream, greeting };
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

/** Resolves when the server closes, which it does once it has passed the request on. */
export async function sendCancelRequest(
  address: BackendAddress,
  database: DatabaseName,
  encryption: Encryption,
  request: CancelRequest,
  signal: AbortSignal,
): Promise<void> {
  let stream: RunStream | undefined;
  try {
    stream = new RunStream(await BackendSocket.open(address, encryption, signal));
    stream.send(encodeToBuffer(encodeStartup, request));
    await Promise.race([stream.ended, rejectOnAbort(signal)]);
  } catch (error) {
    throw error instanceof SqlError ? error : connectError(database, address, error);
  } finally {
    stream?.destroy();
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
