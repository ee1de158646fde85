/**
 * Clients that ask one point select after the other, in a process of its own:
 *
 *     node bench/workers-load.ts <port> <clients> <seconds>
 *
 * prints the number of answers.
 */
import { CountingClient } from "./counting-client.ts";

const [port = 0, clients = 0, seconds = 0] = process.argv.slice(2).map(Number);

const all = await Promise.all(
  Array.from({ length: clients }, () =>
    CountingClient.connect({ host: "127.0.0.1", port, database: "app" }),
  ),
);
const end = performance.now() + seconds * 1_000;
let answers = 0;
await Promise.all(
  all.map(async (client, index) => {
    for (let key = index; performance.now() < end; key = (key + clients) % 1_000) {
      await client.query(`SELECT note FROM items WHERE id = ${key}`);
      answers += 1;
    }
    client.close();
  }),
);
process.stdout.write(`${answers}\n`);
