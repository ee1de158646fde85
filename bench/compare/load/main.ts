/**
 * One load, in a process of its own: `node bench/compare/load/main.ts JSON`, with a LoadTarget and
 * a LoadRequest. Prints a LoadResult. It fails by the first error that a server sends.
 */
import { once } from "node:events";
import { unreachable } from "../../../base/invariant.ts";
import {
  bindFrame,
  executeFrame,
  frame,
  parseFrame,
  queryFrame,
  syncFrame,
} from "../../../test/support/raw-frames.ts";
import { CountingClient } from "../../counting-client.ts";
import { ROWS } from "../data.ts";
import { Histogram } from "../histogram.ts";
import { ORM_USERS, ormStatement } from "../orm-statements.ts";
import { runPaced } from "./paced.ts";
import type { LoadRequest, LoadResult, LoadTarget, StatementStyle } from "./request.ts";

/** Connections that are opened at once: a listener's backlog is not endless. */
const CONNECTING_MAX = 64;
const STATEMENT_NAME = "point";
const ROWS_A_FRAME = 8;
const FRAMES_AT_ONCE = 8;
const COPY_BODY = "x".repeat(1_000);

const { target, request } = JSON.parse(process.argv[2] ?? "") as {
  readonly target: LoadTarget;
  readonly request: LoadRequest;
};

const result = await run(request);
if (result !== undefined) process.stdout.write(`${JSON.stringify(result)}\n`);

function run(load: LoadRequest): Promise<LoadResult | undefined> {
  switch (load.kind) {
    case "closed":
      return runClosed(load);
    case "paced":
      return runAtPace(load);
    case "read":
      return read(load);
    case "copyIn":
      return copyIn(load);
    case "idle":
      return idle(load);
    default:
      return unreachable(load);
  }
}

async function runClosed(load: LoadRequest & { kind: "closed" }): Promise<LoadResult> {
  const { seconds, pipeline, style, seed } = load;
  const clients = await connectAll(load.clients);
  const frames = await Promise.all(
    clients.map((client, index) => statements(client, index, style, seed)),
  );
  const latencies = new Histogram();
  const start = performance.now();
  const end = start + seconds * 1_000;
  let answers = 0;
  await Promise.all(
    clients.map(async (client, index) => {
      const next = frames[index] as () => Buffer;
      for (let before = performance.now(); before < end;) {
        const batch =
          pipeline === 1 ? next() : Buffer.concat(Array.from({ length: pipeline }, next));
        const rows = await client.send(batch, pipeline);
        if (style !== "orm") expectRows(rows, pipeline);
        answers += pipeline;
        const after = performance.now();
        latencies.record((after - before) * 1_000);
        before = after;
      }
    }),
  );
  const took = (performance.now() - start) / 1_000;
  for (const client of clients) client.close();
  return resultOf({ answers, seconds: took, latencies });
}

async function runAtPace(load: LoadRequest & { kind: "paced" }): Promise<LoadResult> {
  const clients = await connectAll(load.clients);
  const frames = await Promise.all(
    clients.map((client, index) => statements(client, index, load.style, 0)),
  );
  const asks = clients.map((client, index) => async () => {
    expectRows(await client.send((frames[index] as () => Buffer)(), 1), 1);
  });
  const start = performance.now();
  const { latencies, lateness } = await runPaced(asks, load);
  const seconds = (performance.now() - start) / 1_000;
  for (const client of clients) client.close();
  return resultOf({ answers: latencies.count, seconds, latencies, lateness });
}

async function read({ sql, rows }: LoadRequest & { kind: "read" }): Promise<LoadResult> {
  const client = await CountingClient.connect(target);
  const before = client.bytesRead;
  const start = performance.now();
  expectRows(await client.query(sql), rows);
  const seconds = (performance.now() - start) / 1_000;
  client.close();
  return resultOf({ answers: 1, seconds, bytes: client.bytesRead - before });
}

/** Rows of a key and a kilobyte, eight to a message: as much as psql sends in one. */
async function copyIn({ sql, rows }: LoadRequest & { kind: "copyIn" }): Promise<LoadResult> {
  const client = await CountingClient.connect(target);
  let bytes = 0;
  const start = performance.now();
  const copy = await client.beginCopy(sql);
  for (let row = 0; row < rows;) {
    const frames: Buffer[] = [];
    for (let count = 0; count < FRAMES_AT_ONCE && row < rows; count += 1) {
      const lines: string[] = [];
      for (; lines.length < ROWS_A_FRAME && row < rows; row += 1)
        lines.push(`${row}\t${COPY_BODY}\n`);
      frames.push(frame("d", Buffer.from(lines.join(""), "latin1")));
    }
    const chunk = Buffer.concat(frames);
    bytes += chunk.length;
    await copy.write(chunk);
  }
  await copy.end();
  const seconds = (performance.now() - start) / 1_000;
  client.close();
  return resultOf({ answers: 1, seconds, bytes });
}

async function idle({ clients }: LoadRequest & { kind: "idle" }): Promise<undefined> {
  const connected = await connectAll(clients);
  for (const client of connected) expectRows(await client.query("SELECT 1"), 1);
  process.stdout.write("connected\n");
  process.stdin.resume();
  await once(process.stdin, "end");
  for (const client of connected) client.close();
}

async function connectAll(count: number): Promise<readonly CountingClient[]> {
  const clients: CountingClient[] = [];
  while (clients.length < count) {
    const some = Math.min(CONNECTING_MAX, count - clients.length);
    clients.push(
      ...(await Promise.all(Array.from({ length: some }, () => CountingClient.connect(target)))),
    );
  }
  return clients;
}

/**
 * What one client sends: the frames of its next statement, each time.
 * @param own the client's number, by which it begins elsewhere than the others
 */
async function statements(
  client: CountingClient,
  own: number,
  style: StatementStyle,
  seed: number,
): Promise<() => Buffer> {
  // A multiple of a number that has no divisor in common with ROWS meets every row.
  let turn = own * 977;
  const key = (): number => (((turn += 1) * 7_919) % ROWS) + 1;
  switch (style) {
    case "simple":
      return () => queryFrame(`SELECT abalance FROM accounts WHERE aid = ${key()}`);
    case "prepared": {
      const sql = "SELECT abalance FROM accounts WHERE aid = $1";
      await client.send(Buffer.concat([parseFrame(STATEMENT_NAME, sql, []), syncFrame()]), 1);
      return () => executed(STATEMENT_NAME, key());
    }
    case "orm": {
      let nonce = seed * 10_000_000 + own * 100_000;
      return () => {
        nonce += 1;
        const parse = parseFrame("", ormStatement(nonce), []);
        return Buffer.concat([parse, executed("", nonce % ORM_USERS)]);
      };
    }
    default:
      return unreachable(style);
  }
}

function executed(statement: string, parameter: number): Buffer {
  const value = Buffer.from(String(parameter));
  const bind = bindFrame("", statement, [{ typeOid: 0, format: 0, value }], []);
  return Buffer.concat([bind, executeFrame("", 0), syncFrame()]);
}

/** A proxy that loses or repeats rows is not to be called fast. */
function expectRows(came: number, expected: number): void {
  if (came !== expected) throw new Error(`${came} rows came, not ${expected}`);
}

function resultOf(of: {
  readonly answers: number;
  readonly seconds: number;
  readonly latencies?: Histogram;
  readonly lateness?: Histogram;
  readonly bytes?: number;
}): LoadResult {
  const { latencies, lateness, bytes = 0 } = of;
  return {
    answers: of.answers,
    seconds: of.seconds,
    p50Microseconds: latencies?.quantile(0.5) ?? 0,
    p99Microseconds: latencies?.quantile(0.99) ?? 0,
    lateMicroseconds: lateness?.quantile(0.99) ?? 0,
    bytes,
  };
}
