import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, test } from "vitest";
import {
  FRONTEND_CLOSE_TIMEOUT_MS,
  FRONTEND_FRAME_BYTES_MAX,
  FRONTEND_READ_AHEAD_BYTES,
  FRONTEND_UNSENT_BYTES,
} from "../../base/limits.ts";
import { ProtocolViolation } from "../../base/sql-error.ts";
import { ClientConnection } from "../../proxy/frontend/client-connection.ts";
import { FrameWriter } from "../../proxy/protocol/frame-writer.ts";

interface Pair extends AsyncDisposable {
  readonly client: ClientConnection;
  readonly served: Socket;
  readonly peer: Socket;
}

async function pair(): Promise<Pair> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo;
  const peer = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [socket] = await accepted;
  peer.on("error", () => {});
  const client = new ClientConnection(socket, {
    user: "u",
    database: "d",
    settings: new Map(),
    processId: 1,
    secretKey: Buffer.alloc(4),
    address: "test",
    connection: { tls: "", localAddress: "127.0.0.1:6432", connectedAtMs: Date.now() },
  });
  const { socket: served } = client;
  served.on("error", () => {});
  return {
    client,
    served,
    peer,
    [Symbol.asyncDispose]: async () => {
      peer.destroy();
      served.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function frames(count: number, bodyBytes: number): Buffer {
  const writer = new FrameWriter();
  for (let index = 0; index < count; index++) {
    writer
      .begin(index % 256)
      .bytes(Buffer.alloc(bodyBytes))
      .end();
  }
  return writer.take();
}

describe("receiving", () => {
  test("frames come in order; peek looks ahead without taking", async () => {
    await using both = await pair();
    const { client, peer } = both;
    expect(client.peek(0)).toBeUndefined();
    const first = client.receive();
    peer.write(frames(3, 10));
    expect((await first)?.type).toBe(0);
    expect([client.peek(1)?.type, client.peek(0)?.type, client.peek(2)]).toEqual([2, 1, undefined]);
    expect((await client.receive())?.type).toBe(1);
    expect((await client.receive())?.type).toBe(2);
    peer.end();
    expect(await client.receive()).toBeUndefined();
  });

  test("a session that does not read stops its client, and goes on where it was", async () => {
    await using both = await pair();
    const { client, served, peer } = both;
    const count = 4_000;
    peer.write(frames(count, 1_000));
    await expect.poll(() => served.isPaused()).toBe(true);
    const before = served.bytesRead;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(served.bytesRead).toBe(before);
    expect(before).toBeLessThan(FRONTEND_READ_AHEAD_BYTES * 3);
    for (let index = 0; index < count; index++) {
      expect((await client.receive())?.type).toBe(index % 256);
    }
  });

  test("one frame larger than the read-ahead still arrives", async () => {
    await using both = await pair();
    both.peer.write(frames(2, 5 * FRONTEND_READ_AHEAD_BYTES));
    expect((await both.client.receive())?.body.length).toBe(5 * FRONTEND_READ_AHEAD_BYTES);
    expect((await both.client.receive())?.type).toBe(1);
  });

  test("a violation is met behind the good frames before it, and nothing after it is read", async () => {
    await using both = await pair();
    const { client, peer } = both;
    const header = Buffer.alloc(5);
    header.writeInt32BE(FRONTEND_FRAME_BYTES_MAX + 5, 1);
    peer.write(Buffer.concat([frames(1, 0), header]));
    expect((await client.receive())?.type).toBe(0);
    await expect(client.receive()).rejects.toThrow(ProtocolViolation);
    peer.write(frames(1, 0));
    await expect(client.receive()).rejects.toThrow(ProtocolViolation);
  });
});

describe("gone", () => {
  test("a reset aborts at once", async () => {
    await using both = await pair();
    const waiting = both.client.receive();
    both.peer.resetAndDestroy();
    expect(await waiting).toBeUndefined();
    expect(both.client.gone.aborted).toBe(true);
  });

  test("a client that closes behind its last messages has them run first", async () => {
    await using both = await pair();
    const { client, peer, served } = both;
    peer.end(frames(2, 0));
    await once(served, "end");
    expect(client.gone.aborted).toBe(false);
    await client.receive();
    expect(client.gone.aborted).toBe(false);
    expect((await client.receive())?.type).toBe(1);
    expect(client.gone.aborted).toBe(true);
    expect(await client.receive()).toBeUndefined();
  });

  test("a client that closes in the middle of a frame is gone", async () => {
    await using both = await pair();
    both.peer.end(frames(1, 100).subarray(0, 50));
    expect(await both.client.receive()).toBeUndefined();
    expect(both.client.gone.aborted).toBe(true);
  });

  test("writing to a client that is gone does nothing", async () => {
    await using both = await pair();
    both.peer.resetAndDestroy();
    await expect.poll(() => both.served.closed).toBe(true);
    both.client.write(Buffer.alloc(10));
    await both.client.drained();
    both.client.end();
  });
});

describe("sending", () => {
  test("many writes of one turn are one write to the socket, in order", async () => {
    await using both = await pair();
    const { client, served, peer } = both;
    const sizes: number[] = [];
    const write = served.write.bind(served) as (chunk: Buffer, done: () => void) => boolean;
    served.write = ((chunk: Buffer, done: () => void) => {
      sizes.push(chunk.length);
      return write(chunk, done);
    }) as Socket["write"];
    for (let index = 0; index < 100; index++) client.write(Buffer.from([index]));
    const [bytes] = (await once(peer, "data")) as [Buffer];
    expect([...bytes]).toEqual([...Array(100).keys()]);
    expect(sizes).toEqual([100]);
  });

  test("a slow client is seen by drained, and all bytes arrive", async () => {
    await using both = await pair();
    const { client, peer } = both;
    peer.pause();
    const total = 64 * FRONTEND_UNSENT_BYTES;
    const chunk = Buffer.alloc(FRONTEND_UNSENT_BYTES / 4, 7);
    let isStuck = false;
    let sent = 0;
    let received = 0;
    peer.on("data", (bytes: Buffer) => {
      received += bytes.length;
    });
    peer.pause();
    while (sent < total) {
      client.write(chunk);
      sent += chunk.length;
      const drained = client.drained().then(() => "drained");
      const stuck = new Promise((resolve) => setTimeout(() => resolve("stuck"), 20));
      if ((await Promise.race([drained, stuck])) === "stuck") {
        isStuck = true;
        peer.resume();
        await drained;
      }
    }
    expect(isStuck).toBe(true);
    await expect.poll(() => received).toBe(total);
  });

  test("end sends what is queued, then closes", async () => {
    await using both = await pair();
    const { client, peer } = both;
    const chunks: Buffer[] = [];
    peer.on("data", (bytes: Buffer) => chunks.push(bytes));
    client.write(Buffer.alloc(1_000_000, 1));
    client.write(Buffer.from("last"));
    client.end();
    client.end();
    expect(await client.receive()).toBeUndefined();
    await once(peer, "end");
    const bytes = Buffer.concat(chunks);
    expect([bytes.length, bytes.subarray(-4).toString()]).toEqual([1_000_004, "last"]);
  });

  test(
    "a closed client that never reads is cut off",
    async () => {
      await using both = await pair();
      both.peer.pause();
      both.client.write(Buffer.alloc(50_000_000));
      both.client.end();
      await expect.poll(() => both.served.closed, { timeout: 9_000 }).toBe(true);
    },
    2 * FRONTEND_CLOSE_TIMEOUT_MS,
  );
});
