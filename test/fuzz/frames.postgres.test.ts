/**
 * Damaged protocol frames against the running proxy: it lives, its memory does not grow,
 * and a client beside it never notices.
 *
 * 1,000,000 frames with `COLONNADE_FULL=1`. `FUZZ_SEED` replays a run.
 */
import net from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Random } from "../differential/random.ts";
import type { TestProxy } from "../support/proxy.ts";
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
import { inFullRun } from "../support/run-mode.ts";
import { beNeighbour, startFuzzTarget } from "./fuzz-proxy.ts";
import { mutateFrame, randomBytes } from "./mutate.ts";

const FRAMES = inFullRun(1_000_000, 20_000);
/** Before the first look at the memory: code is compiled and pools are full. */
const WARM_UP_FRAMES = inFullRun(50_000, 5_000);
const FRAMES_PER_CONNECTION = 40;
const CONNECTIONS = 12;
const GROWTH_BYTES_MAX = 50 * 1024 * 1024;
/** How long a connection that says nothing more is waited for. */
const SILENCE_MS = 30;
const SEED = Number(process.env["FUZZ_SEED"] ?? 20_240_229);

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

test(`${FRAMES} damaged frames`, { timeout: 3_600_000 }, async () => {
  await using target = await startFuzzTarget();
  const { proxy } = target;
  const stop = new AbortController();
  const neighbour = beNeighbour(proxy, stop.signal);

  await damage(proxy, new Random(SEED + 1), WARM_UP_FRAMES);
  const before = await proxy.residentBytes();
  const sent = await damage(proxy, new Random(SEED), FRAMES);
  await sleep(1_000);
  const after = await proxy.residentBytes();
  stop.abort();
  const { faults, answers, slowestMs } = await neighbour;

  const megabytes = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MB`;
  process.stdout.write(
    `seed ${SEED}: ${sent} damaged frames; resident ${megabytes(before)} before, ${megabytes(after)} after; neighbour: ${answers} answers, slowest ${slowestMs.toFixed(0)} ms\n`,
  );
  expect(proxy.isAlive(), proxy.output()).toBe(true);
  expect(faults).toEqual([]);
  expect(answers).toBeGreaterThan(10);
  expect(sent).toBeGreaterThanOrEqual(FRAMES);
  expect(after - before).toBeLessThan(GROWTH_BYTES_MAX);
});

/** Over several connections at once; gives the number of frames sent. */
async function damage(proxy: TestProxy, random: Random, frames: number): Promise<number> {
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < frames) {
      sent += FRAMES_PER_CONNECTION;
      await oneConnection(proxy, random);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return sent;
}

/** One client's life: a startup, damaged now and then, then frames of which most are. */
async function oneConnection(proxy: TestProxy, random: Random): Promise<void> {
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
  const socket = net.connect({ host: proxy.host, port: proxy.port });
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
