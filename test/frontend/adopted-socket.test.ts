/** A connection that is taken from the socket it was accepted as: nothing of it is lost, and its server still counts it. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { expect, test } from "vitest";
import { adoptSocket } from "../../proxy/frontend/adopted-socket.ts";

interface Pair {
  readonly server: Server;
  readonly accepted: Socket;
  readonly peer: Socket;
}

async function pair(server: Server): Promise<Pair> {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  const arrives = once(server, "connection") as Promise<[Socket]>;
  const peer = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1" });
  const [accepted] = await arrives;
  peer.on("error", () => undefined);
  return { server, accepted, peer };
}

const listening = (): Server => createServer({ allowHalfOpen: true, pauseOnConnect: true });

test("what had been read comes first, then what arrives, and then the end", async () => {
  const { server, accepted, peer } = await pair(listening());
  const heard: string[] = [];
  accepted.on("readable", () => undefined);
  peer.write("early");
  await expect.poll(() => accepted.readableLength).toBe(5);
  const adopted = adoptSocket(accepted, (bytes, length) =>
    heard.push(bytes.toString("latin1", 0, length)),
  );
  expect(adopted?.unread?.toString()).toBe("early");
  const socket = adopted?.socket;
  if (socket === undefined) throw new Error("Node has what it takes");
  peer.write("later");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(heard).toEqual([]);
  socket.resume();
  await expect.poll(() => heard).toEqual(["later"]);
  const answer = once(peer, "data");
  socket.write("answer");
  expect(String((await answer)[0])).toBe("answer");

  const ended = once(socket, "end");
  peer.end();
  await ended;
  expect(socket.writable).toBe(true);
  const closed = once(server, "close");
  server.close();
  socket.end();
  await closed;
  expect(socket.destroyed).toBe(true);
});

test("several read into one buffer, each its own", async () => {
  const server = listening();
  const pairs = [await pair(server), await pair(server), await pair(server)];
  const heard = pairs.map(() => "");
  const sockets = pairs.map(({ accepted }, index) => {
    const adopted = adoptSocket(accepted, (bytes, length) => {
      heard[index] += bytes.toString("latin1", 0, length);
    });
    adopted?.socket.resume();
    return adopted?.socket;
  });
  const told = pairs.map((_, index) => String(index).repeat(200_000));
  for (const [index, { peer }] of pairs.entries()) peer.write(told[index] ?? "");
  await expect.poll(() => heard, { timeout: 5_000 }).toEqual(told);
  for (const socket of sockets) socket?.destroy();
  for (const { peer } of pairs) peer.destroy();
  const closed = once(server, "close");
  server.close();
  await closed;
});

test("one whose peer has ended, and one that is closed, stay what they are", async () => {
  const { server, accepted, peer } = await pair(listening());
  accepted.on("readable", () => undefined);
  peer.end("last words");
  await expect.poll(() => accepted.readableLength).toBe(10);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(adoptSocket(accepted, () => undefined)).toBeUndefined();
  expect(String(accepted.read())).toBe("last words");
  accepted.destroy();
  expect(adoptSocket(accepted, () => undefined)).toBeUndefined();
  peer.destroy();
  const closed = once(server, "close");
  server.close();
  await closed;
});
