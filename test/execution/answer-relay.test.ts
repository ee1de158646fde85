/** Answers that come in any pieces: a client is given the very frames that it is to be given, whole, and what follows stays. */
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { AnswerRelay } from "../../proxy/execution/answer-relay.ts";
import type { PipelineOwner, Verdict } from "../../proxy/execution/answer-relay.ts";
import { encodeAuthentication } from "../../proxy/protocol/backend/authentication.ts";
import { encodeBackendKeyData } from "../../proxy/protocol/backend/backend-key-data.ts";
import { encodeReadyForQuery } from "../../proxy/protocol/backend/ready-for-query.ts";
import { FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import { BACKEND_TYPE } from "../../proxy/protocol/message-type.ts";

/** Says what a test gives it, in the pieces that the test cuts. */
class Speaker implements AsyncDisposable {
  readonly #server: net.Server;
  readonly #socket: Socket;
  readonly connection: BackendConnection;

  private constructor(server: net.Server, socket: Socket, connection: BackendConnection) {
    this.#server = server;
    this.#socket = socket;
    this.connection = connection;
  }

  static async start(): Promise<Speaker> {
    const server = net.createServer({ noDelay: true });
    const accepted = new Promise<Socket>((resolve) => {
      server.on("connection", (socket) => {
        socket.once("data", () => socket.write(welcome()));
        resolve(socket);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const url = `postgres://app@127.0.0.1:${port}/app?sslmode=disable`;
    const options = { database: databaseName("a"), connectTimeoutMs: 2_000 };
    const connection = await BackendConnection.open(parseBackendAddress(url), options);
    return new Speaker(server, await accepted, connection);
  }

  async say(pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) {
      await new Promise<void>((resolve) => this.#socket.write(piece, () => resolve()));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.destroy();
    this.#socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function welcome(): Buffer {
  const writer = new FrameWriter();
  encodeAuthentication({ kind: "authenticationOk" }, writer);
  const key = { processId: 1, secretKey: Buffer.alloc(4) };
  encodeBackendKeyData({ kind: "backendKeyData", ...key }, writer);
  encodeReadyForQuery({ kind: "readyForQuery", status: "idle" }, writer);
  return writer.take();
}

/** Keeps ParseComplete and BindComplete from the client; CommandComplete is replaced. */
class Owner implements PipelineOwner {
  readonly given: Buffer[] = [];
  readonly over = Promise.withResolvers<undefined>();
  readonly isFull = false;

  judge(type: number): Verdict {
    if (type === BACKEND_TYPE.commandComplete) return REPLACED;
    return type !== BACKEND_TYPE.parseComplete && type !== BACKEND_TYPE.bindComplete;
  }

  judgeReady(): Verdict {
    return true;
  }

  give(bytes: Buffer): void {
    this.given.push(bytes);
  }

  whenRoom(): void {
    throw new Error("there is always room");
  }

  next(): boolean {
    return true;
  }

  halted(): void {
    throw new Error("it always goes on");
  }

  answered(): void {
    this.over.resolve(undefined);
  }

  lost(error: unknown): void {
    this.over.reject(error);
  }
}

function frame(type: number, body: Buffer): Buffer {
  const writer = new FrameWriter();
  return Buffer.from(writer.begin(type).bytes(body).end().take());
}

const REPLACED = frame(BACKEND_TYPE.commandComplete, Buffer.from("REPLACED\0"));
const READY = frame(BACKEND_TYPE.readyForQuery, Buffer.from("I"));

interface Message {
  readonly type: number;
  readonly length: number;
}

const { dataRow, parseComplete, bindComplete, commandComplete, noticeResponse } = BACKEND_TYPE;
const message: fc.Arbitrary<Message> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant(dataRow), length: fc.nat(2_000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant(dataRow), length: fc.nat(200_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constantFrom(parseComplete, bindComplete, commandComplete, noticeResponse),
      length: fc.nat(20),
    }),
  },
);

let speaker: Speaker;
beforeAll(async () => {
  speaker = await Speaker.start();
});
afterAll(() => speaker[Symbol.asyncDispose]());

function told({ type }: Message, bytes: Buffer): Buffer {
  if (type === commandComplete) return REPLACED;
  return type === parseComplete || type === bindComplete ? Buffer.alloc(0) : bytes;
}

test("in pieces cut anywhere, of several answers, and with a frame of the next", async () => {
  const cuts = fc.array(fc.nat(300_000), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(message, { maxLength: 12 }), { minLength: 1, maxLength: 3 }),
      cuts,
      async (answers, places) => {
        const { connection } = speaker;
        const said: Buffer[] = [];
        const expected: Buffer[] = [];
        for (const answer of answers) {
          for (const each of answer) {
            const bytes = frame(each.type, Buffer.alloc(each.length, said.length));
            said.push(bytes);
            expected.push(told(each, bytes));
          }
          said.push(READY);
          expected.push(READY);
        }
        const whole = Buffer.concat(said);
        const at = [0, ...new Set(places.map((place) => place % whole.length))].toSorted(
          (one, other) => one - other,
        );
        const pieces = at.map((from, index) => whole.subarray(from, at[index + 1]));
        const owner = new Owner();
        connection.expectReady(answers.length);
        AnswerRelay.start(connection, owner, answers.length);
        await speaker.say(pieces);
        await owner.over.promise;
        expect(Buffer.concat(owner.given).equals(Buffer.concat(expected))).toBe(true);
        expect(connection.isClean).toBe(true);
      },
    ),
    { numRuns: 150 },
  );
});

test("what is behind an answer is the connection's", async () => {
  const { connection } = speaker;
  const notice = frame(noticeResponse, Buffer.alloc(30_000, 1));
  const row = frame(dataRow, Buffer.alloc(70_000, 2));
  const owner = new Owner();
  connection.expectReady();
  AnswerRelay.start(connection, owner, 1);
  await speaker.say([
    row.subarray(0, 40_000),
    Buffer.concat([row.subarray(40_000), READY, notice]),
  ]);
  await owner.over.promise;
  expect(Buffer.concat(owner.given).equals(Buffer.concat([row, READY]))).toBe(true);
  const run = await connection.receive();
  expect(run.type).toBe(noticeResponse);
  expect(run.bytes.equals(notice)).toBe(true);
});
