/** Clients whose reads share connections, and statements that do and take their time. */
import net from "node:net";
import { expect } from "vitest";
import type { TestProxy } from "../support/proxy.ts";
import type { RawClient, ServerError } from "../support/raw-client.ts";
import {
  bindFrame,
  cancelFrame,
  executeFrame,
  parseFrame,
  readFields,
  syncFrame,
} from "../support/raw-frames.ts";

export const POINT = "SELECT name FROM accounts WHERE id = 1";

let sleepers = 0;

/** Runs for as long as it is told to; tells the types of the messages, or the SQLSTATE. */
export type Sleeper = (seconds: number) => Promise<string>;

/**
 * A statement of a plan of its own that is known and shared, and takes as long as it is told to. It is
 * IMMUTABLE, as it says; once it was slow, it is shared no more.
 */
export async function sleeperOf(proxy: TestProxy, client: RawClient): Promise<Sleeper> {
  const sql = `SELECT name AS n${(sleepers += 1)} FROM accounts WHERE late_sleep($1) AND id = 1`;
  const run = async (seconds: number): Promise<string> => {
    const value = Buffer.from(String(seconds));
    const { messages } = await client.exchange(
      Buffer.concat([
        parseFrame("", sql, [FLOAT8]),
        bindFrame("", "", [{ format: 0, typeOid: FLOAT8, value }], []),
        executeFrame("", 0),
        syncFrame(),
      ]),
    );
    const error = messages.find(({ type }) => type === "E");
    return error === undefined
      ? messages.map(({ type }) => type).join("")
      : (readFields(error.body)["C"] ?? "");
  };
  const before = await counted(proxy, "shared_reads_total");
  // A plan is made, a connection gets ready; a machine that is busy makes the first ones slow.
  for (let time = 0; time < WARM_UPS_MAX; time++) {
    expect(await run(0)).toBe(ONE_ROW);
    if (time >= 2 && (await counted(proxy, "shared_reads_total")) > before) return run;
  }
  throw new Error("the statement does not share a connection");
}

const WARM_UPS_MAX = 20;

const FLOAT8 = 701;
/** What `Sleeper` tells where all went well. */
export const ONE_ROW = "12DCZ";

/** A metric, without its prefix and labels. */
export async function counted(proxy: TestProxy, what: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`);
  const found = new RegExp(String.raw`^colonnade_${what} (\d+)$`, "m").exec(await response.text());
  return Number(found?.[1] ?? 0);
}

/** Clients of which each has a connection ready that it could share. */
export async function connectedTo(proxy: TestProxy, count: number, sql = POINT): Promise<Clients> {
  const clients = await Promise.all(Array.from({ length: count }, () => proxy.connect()));
  for (const client of clients) for (let time = 0; time < 2; time++) await client.query(sql);
  return clients as unknown as Clients;
}

/** As many as were asked for. */
export type Clients = readonly [RawClient, RawClient, RawClient, RawClient, ...RawClient[]];

export async function closed(clients: readonly RawClient[]): Promise<void> {
  for (const client of clients) await client.close();
}

export function cancel({ port }: TestProxy, { processId, secretKey }: RawClient): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => {
      socket.write(cancelFrame(processId, secretKey));
    });
    socket.on("error", () => undefined).on("close", () => resolve());
    socket.resume();
  });
}

export const sqlstateOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: ServerError) => error.fields?.["C"] ?? String(error),
  );
