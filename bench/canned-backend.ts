/**
 * A server that answers one statement from memory, and relays all else to PostgreSQL: what a
 * proxy could do if its servers cost nothing. It runs in a process of its own:
 *
 *     node bench/canned-backend.ts <port of PostgreSQL> <beginning of the statement>
 *
 * and prints its port. What it answers is PostgreSQL's own answer to the first such statement
 * of each connection, whatever the later ones ask. Simple protocol, without TLS.
 */
import net from "node:net";
import type { AddressInfo } from "node:net";

const HOST = "127.0.0.1";
const QUERY = "Q".charCodeAt(0);
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);
const HEADER_BYTES = 5;

const [postgresPort, beginning] = process.argv.slice(2);
if (postgresPort === undefined || beginning === undefined)
  throw new Error("give the port of PostgreSQL, and how the statement begins");

const server = net.createServer({ noDelay: true }, (client) => {
  const postgres = net.connect({ port: Number(postgresPort), host: HOST, noDelay: true });
  let isLearning = false;
  let learned: Buffer = Buffer.alloc(0);
  let answer: Buffer | undefined;
  client.on("data", (chunk) => {
    if (!isCanned(chunk)) return void postgres.write(chunk);
    if (answer !== undefined) return void client.write(answer);
    isLearning = true;
    postgres.write(chunk);
  });
  postgres.on("data", (chunk) => {
    client.write(chunk);
    if (!isLearning) return;
    learned = Buffer.concat([learned, chunk]);
    if (!learned.subarray(-READY.length).equals(READY)) return;
    [answer, isLearning] = [learned, false];
  });
  for (const [one, other] of [
    [client, postgres],
    [postgres, client],
  ] as const) {
    one.on("error", () => other.destroy());
    one.on("close", () => other.destroy());
  }
});

/** A chunk that is one Query with that beginning: the proxy writes a statement at once. */
function isCanned(chunk: Buffer): boolean {
  if (chunk[0] !== QUERY || chunk.length !== chunk.readUInt32BE(1) + 1) return false;
  return (
    chunk.toString("latin1", HEADER_BYTES, HEADER_BYTES + (beginning?.length ?? 0)) === beginning
  );
}

server.listen(0, HOST, () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
