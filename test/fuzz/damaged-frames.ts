/** Clients that send damaged protocol frames. */
import net from "node:net";
import { once } from "node:events";
import type { Random } from "../differential/random.ts";
import {
  bindFrame,
  cancelFrame,
  closeFrame,
  describeFrame,
  executeFrame,
  flushFrame,
  frame,
  parseFrame,
  queryFrame,
  startupFrame,
  syncFrame,
  terminateFrame,
} from "../support/raw-frames.ts";
import { mutateFrame, randomBytes } from "./mutate.ts";

interface Target {
  readonly host: string;
  readonly port: number;
}

const FRAMES_PER_CONNECTION = 40;
const CONNECTIONS = 12;
/** How long a connection that says nothing more is waited for. */
const SILENCE_MS = 30;

const integer = (value: number): { typeOid: number; format: 0; value: Buffer } => ({
  typeOid: 23,
  format: 0,
  value: Buffer.from(String(value)),
});

const FRAMES_TO_DAMAGE: readonly Buffer[] = [
  queryFrame("SELECT name FROM users WHERE id = 1"),
  queryFrame("SELECT count(*), sum(total) FROM orders"),
  queryFrame(
    "INSERT INTO orders (user_id, id, total) VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3) ON CONFLICT DO NOTHING",
  ),
  queryFrame("BEGIN; UPDATE users SET age = 1 WHERE id = 5; ROLLBACK"),
  queryFrame(""),
  parseFrame("", "SELECT * FROM users WHERE id = $1", [20]),
  parseFrame("s", "SELECT id, total FROM orders WHERE user_id = $1 ORDER BY id LIMIT $2", [20, 20]),
  bindFrame("", "", [integer(1)], [1]),
  bindFrame("p", "s", [integer(1), integer(2)], [0, 1]),
  describeFrame("S", "s"),
  describeFrame("P", ""),
  executeFrame("", 0),
  executeFrame("p", 1),
  closeFrame("S", "s"),
  closeFrame("P", "p"),
  flushFrame(),
  syncFrame(),
  syncFrame(),
  frame("d", Buffer.from("1\tx\n")),
  frame("c"),
  frame("f", Buffer.from("no\0")),
  frame("F", Buffer.alloc(14)),
  frame("p", Buffer.from("password\0")),
];

const STARTUPS: readonly Buffer[] = [
  startupFrame({ user: "postgres", database: "app" }),
  startupFrame({
    user: "postgres",
    database: "app",
    options: "-c datestyle=ISO",
    application_name: "fuzz",
  }),
  Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]),
  Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]),
  cancelFrame(1, Buffer.alloc(4)),
];

/** Over several connections at once; gives the number of frames sent. */
export async function damageFrames(
  target: Target,
  random: Random,
  frames: number,
): Promise<number> {
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < frames) {
      sent += FRAMES_PER_CONNECTION;
      await oneConnection(target, random);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return sent;
}

/** One client's life: a startup, damaged now and then, then frames of which most are. */
async function oneConnection(target: Target, random: Random): Promise<void> {
  const bytes = Array.from({ length: FRAMES_PER_CONNECTION }, () => {
    const whole = random.pick(FRAMES_TO_DAMAGE);
    return random.chance(60) ? mutateFrame(whole, FRAMES_TO_DAMAGE, random) : whole;
  });
  const startup = random.chance(80)
    ? (STARTUPS[0] as Buffer)
    : random.chance(70)
      ? mutateFrame(random.pick(STARTUPS), STARTUPS, random)
      : randomBytes(random, random.integer(1, 60));
  const end = random.chance(50) ? [terminateFrame()] : [];
  const socket = net.connect({ host: target.host, port: target.port });
  socket.on("error", () => undefined);
  const closed = once(socket, "close").catch(() => undefined);
  let heardMs = performance.now();
  socket.on("data", () => {
    heardMs = performance.now();
  });
  socket.write(Buffer.concat([startup, ...bytes, ...end]));
  const watch = setInterval(() => {
    if (performance.now() - heardMs > SILENCE_MS) socket.destroy();
  }, SILENCE_MS);
  await closed;
  clearInterval(watch);
}
