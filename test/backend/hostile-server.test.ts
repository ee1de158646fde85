/** Peers that are no PostgreSQL server, or one that lies. Each connect ends, with a clear error. */
import { randomBytes } from "node:crypto";
import net from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { encodeAuthentication } from "../../proxy/protocol/backend/authentication.ts";
import { encodeBackendKeyData } from "../../proxy/protocol/backend/backend-key-data.ts";
import { encodeErrorResponse } from "../../proxy/protocol/backend/error-response.ts";
import { encodeReadyForQuery } from "../../proxy/protocol/backend/ready-for-query.ts";
import { FrameWriter } from "../../proxy/protocol/frame-writer.ts";

const NAME = databaseName("users0");

const servers: net.Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Serves each connection by `speak`, called with each chunk the client sends. */
async function serve(speak: (socket: net.Socket, chunk: Buffer) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => speak(socket, chunk));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as net.AddressInfo).port;
}

async function open(
  port: number,
  query = "sslmode=disable",
  connectTimeoutMs = 2_000,
): Promise<BackendConnection> {
  const address = parseBackendAddress(`postgres://app:secret@127.0.0.1:${port}/app?${query}`);
  return await BackendConnection.open(address, { database: NAME, connectTimeoutMs });
}

async function refusal(port: number, query?: string, connectTimeoutMs?: number): Promise<unknown> {
  return await open(port, query, connectTimeoutMs).catch((error: unknown) => error);
}

const WELCOME = frames((writer) => {
  encodeAuthentication({ kind: "authenticationOk" }, writer);
  encodeBackendKeyData(
    { kind: "backendKeyData", processId: 1, secretKey: Buffer.alloc(4) },
    writer,
  );
  encodeReadyForQuery({ kind: "readyForQuery", status: "idle" }, writer);
});

function frames(write: (writer: FrameWriter) => void): Buffer {
  const writer = new FrameWriter();
  write(writer);
  return writer.take();
}

function errorFrame(sqlstate: string, message: string): Buffer {
  return frames((writer) =>
    encodeErrorResponse(
      { kind: "errorResponse", fields: { S: "FATAL", V: "FATAL", C: sqlstate, M: message } },
      writer,
    ),
  );
}

describe("while connecting", () => {
  test.each([
    ["another protocol", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["a frame of impossible length", Buffer.from([82, 0, 0, 0, 1])],
    ["an unknown authentication request", Buffer.from([82, 0, 0, 0, 8, 0, 0, 1, 0])],
    ["rows before it is ready", Buffer.from([68, 0, 0, 0, 6, 0, 0])],
    [
      "readiness without a cancel key",
      frames((writer) => {
        encodeAuthentication({ kind: "authenticationOk" }, writer);
        encodeReadyForQuery({ kind: "readyForQuery", status: "idle" }, writer);
      }),
    ],
    [
      "a SASL answer that nobody asked",
      frames((writer) =>
        encodeAuthentication(
          { kind: "authenticationSaslContinue", data: Buffer.from("r=x") },
          writer,
        ),
      ),
    ],
  ])("%s", async (_name, bytes) => {
    const port = await serve((socket) => socket.write(bytes));
    expect(await refusal(port)).toMatchObject({
      id: "backend_protocol_violation",
      message: expect.stringContaining('database "users0"'),
    });
  });

  test("silence ends at the deadline", async () => {
    const port = await serve(() => undefined);
    const since = performance.now();
    expect(await refusal(port, "sslmode=disable", 100)).toMatchObject({
      id: "backend_unavailable",
      message: expect.stringContaining("no answer within 100 ms"),
    });
    expect(await refusal(port, "sslmode=require", 100)).toMatchObject({
      id: "backend_unavailable",
    });
    expect(performance.now() - since).toBeLessThan(1_500);
  });

  test("a closed door", async () => {
    const port = await serve((socket) => socket.destroy());
    expect(await refusal(port)).toMatchObject({ id: "backend_unavailable" });
    expect(await refusal(port, "sslmode=require")).toMatchObject({ id: "backend_unavailable" });
  });

  test.each([
    ["57P03", "backend_starting"],
    ["53300", "backend_too_many_connections"],
    ["28P01", "backend_rejected"],
    ["XX000", "backend_unavailable"],
  ])("an error %s is %s", async (sqlstate, id) => {
    const port = await serve((socket) => socket.end(errorFrame(sqlstate, "not now")));
    expect(await refusal(port)).toMatchObject({
      id,
      message: 'could not connect to database "users0": not now',
    });
  });

  test("a server that skips its half of SCRAM is not believed", async () => {
    const ok = frames((writer) => encodeAuthentication({ kind: "authenticationOk" }, writer));
    const sasl = frames((writer) =>
      encodeAuthentication({ kind: "authenticationSasl", mechanisms: ["SCRAM-SHA-256"] }, writer),
    );
    const answers = [sasl, ok];
    const port = await serve((socket) => socket.write(answers.shift() ?? Buffer.alloc(0)));
    expect(await refusal(port)).toMatchObject({
      id: "backend_protocol_violation",
      message: expect.stringContaining("without proving itself"),
    });
  });

  test("bytes behind the answer to SSLRequest are not taken for encrypted ones", async () => {
    const port = await serve((socket) => socket.write(Buffer.concat([Buffer.from("S"), WELCOME])));
    expect(await refusal(port, "sslmode=require")).toMatchObject({
      id: "backend_tls_failed",
      message: expect.stringContaining("unencrypted data"),
    });
  });

  test("random bytes never do more than fail", async () => {
    for (let round = 0; round < 60; round += 1) {
      const bytes = randomBytes(1 + (round % 40));
      const port = await serve((socket) => socket.end(bytes));
      const outcome = await refusal(
        port,
        round % 2 === 0 ? "sslmode=disable" : "sslmode=prefer",
        1_000,
      );
      expect(outcome).toMatchObject({ id: expect.stringMatching(/^backend_/) });
    }
  });
});

describe("once connected", () => {
  /** Greets, then answers whatever comes with these bytes. */
  async function welcomeThen(bytes: Buffer): Promise<BackendConnection> {
    let isGreeted = false;
    const port = await serve((socket) => {
      socket.write(isGreeted ? bytes : WELCOME);
      isGreeted = true;
    });
    return await open(port);
  }

  test("a broken frame breaks the connection, for this statement and for good", async () => {
    const connection = await welcomeThen(Buffer.from([68, 0, 0, 0, 0]));
    await expect(connection.query("SELECT 1")).rejects.toMatchObject({
      id: "backend_protocol_violation",
      sqlstate: "08P01",
    });
    expect(connection.isBroken).toBe(true);
    await expect(connection.receive()).rejects.toMatchObject({ id: "backend_protocol_violation" });
  });

  test("a malformed message inside a good frame does, too", async () => {
    const connection = await welcomeThen(Buffer.from([90, 0, 0, 0, 5, 63]));
    await expect(connection.query("SELECT 1")).rejects.toMatchObject({
      id: "backend_protocol_violation",
    });
    expect(connection.isBroken).toBe(true);
  });

  test("an answer to nothing, while nobody uses the connection, breaks it", async () => {
    const port = await serve((socket) => {
      socket.write(WELCOME);
      setTimeout(() => socket.write(Buffer.from([90, 0, 0, 0, 5, 73])), 20);
    });
    const connection = await open(port);
    connection.park();
    await connection.ended;
    expect(connection.isBroken).toBe(true);
  });
});
