/**
 * From a connected socket to the first ReadyForQuery: the startup packet, proof of who we
 * are in whichever way the server asks for it, and what it then tells of itself.
 *
 * Source: the manual's "Start-up" message flow; fe-auth.c for which methods a client
 * accepts. Protocol 3.0 is asked for, which every server from 15 to 18 speaks as its own.
 */
import { ProtocolViolation } from "../../base/sql-error.ts";
import { decodeAuthentication } from "../protocol/backend/authentication.ts";
import { decodeBackendKeyData } from "../protocol/backend/backend-key-data.ts";
import { decodeErrorResponse } from "../protocol/backend/error-response.ts";
import { decodeParameterStatus } from "../protocol/backend/parameter-status.ts";
import { runBody } from "../protocol/backend-run-reader.ts";
import type { BackendRun } from "../protocol/backend-run-reader.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { BACKEND_TYPE } from "../protocol/message-type.ts";
import { encodeStartup } from "../protocol/startup.ts";
import { AuthenticationAnswers } from "./authentication.ts";
import type { BackendAddress } from "./backend-address.ts";
import { StartupRefused } from "./connect-error.ts";
import type { RunStream } from "./run-stream.ts";

export interface Greeting {
  readonly processId: number;
  readonly secretKey: Buffer;
  /** ParameterStatus by name. */
  readonly parameters: Map<string, string>;
}

/** Rejects with StartupRefused, AuthenticationImpossible, ProtocolViolation, or the stream's end. */
export async function shakeHands(
  stream: RunStream,
  address: BackendAddress,
  settings: ReadonlyMap<string, string>,
  serverCertificate: Buffer | undefined,
  signal: AbortSignal,
): Promise<Greeting> {
  stream.send(
    encodeToBuffer(encodeStartup, {
      kind: "startup",
      major: 3,
      minor: 0,
      parameters: startupParameters(address, settings),
    }),
  );
  await authenticate(stream, new AuthenticationAnswers(address, serverCertificate), signal);
  return await readGreeting(stream, signal);
}

function startupParameters(
  address: BackendAddress,
  settings: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const parameters = new Map([
    ["user", address.user],
    ["database", address.database],
    ["client_encoding", "UTF8"],
  ]);
  if (address.applicationName !== undefined) {
    parameters.set("application_name", address.applicationName);
  }
  for (const [name, value] of settings) parameters.set(name, value);
  return parameters;
}

async function authenticate(
  stream: RunStream,
  answers: AuthenticationAnswers,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const run = await stream.receive(signal);
    switch (run.type) {
      case BACKEND_TYPE.authentication: {
        const answer = await answers.to(decodeAuthentication(runBody(run)));
        if (answer.kind === "done") return;
        if (answer.kind === "send") stream.send(answer.bytes);
        break;
      }
      case BACKEND_TYPE.errorResponse:
        throw refused(run);
      case BACKEND_TYPE.noticeResponse:
        break;
      default:
        throw unexpected(run);
    }
  }
}

async function readGreeting(stream: RunStream, signal: AbortSignal): Promise<Greeting> {
  const parameters = new Map<string, string>();
  let key: { readonly processId: number; readonly secretKey: Buffer } | undefined;
  for (;;) {
    const run = await stream.receive(signal);
    switch (run.type) {
      case BACKEND_TYPE.parameterStatus: {
        const { name, value } = decodeParameterStatus(runBody(run));
        parameters.set(name, value);
        break;
      }
      case BACKEND_TYPE.backendKeyData:
        key = decodeBackendKeyData(runBody(run));
        break;
      case BACKEND_TYPE.readyForQuery:
        if (key === undefined) throw new ProtocolViolation("server is ready without a cancel key");
        // A copy: the key would otherwise keep the chunk it came in.
        return { processId: key.processId, secretKey: Buffer.from(key.secretKey), parameters };
      case BACKEND_TYPE.errorResponse:
        throw refused(run);
      case BACKEND_TYPE.noticeResponse:
        break;
      default:
        throw unexpected(run);
    }
  }
}

function refused(run: BackendRun): StartupRefused {
  return new StartupRefused(decodeErrorResponse(runBody(run)).fields);
}

function unexpected({ type }: BackendRun): ProtocolViolation {
  const letter = JSON.stringify(String.fromCharCode(type));
  return new ProtocolViolation(`message ${letter} came before the server was ready`);
}
