/**
 * What a client is told when something larger goes away: the catalog database, a server that
 * hangs, the proxy itself.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConnectionLost, ServerError } from "../support/raw-client.ts";
import { converse, parse, query, run, sync } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: unknown) => (error instanceof ServerError ? (error.fields["C"] ?? "") : String(error)),
  );

describe("without the catalog database", () => {
  test("statements on other databases go on, and its return is noticed", async () => {
    const client = await servers.proxy.connect();
    const idle = await servers.proxy.connect({ TimeZone: "UTC" });
    const named = [parse("s", "SELECT name FROM accounts WHERE id = $1"), sync()];
    await converse(client, named);
    await client.query(
      "BEGIN; UPDATE accounts SET balance = 11 WHERE id = 1; SET LOCAL TimeZone = 'Asia/Tokyo'",
    );
    await idle.query("BEGIN; UPDATE accounts SET balance = 31 WHERE id = 101");
    await servers.first.kill9();

    expect(await converse(idle, [query("COMMIT")])).toEqual([
      "CommandComplete COMMIT",
      "ReadyForQuery I",
    ]);
    // The SET has reached the catalog database, which took part in the transaction.
    expect(await outcome(client.query("COMMIT"))).toBe("done");
    expect(await idle.query("SELECT balance FROM accounts WHERE id = 101")).toEqual([["31"]]);
    expect(await client.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([["11"]]);
    expect(
      await idle.query("UPDATE accounts SET balance = 32 WHERE id = 101 RETURNING balance"),
    ).toEqual([["32"]]);
    expect(await outcome(client.query("SELECT * FROM notes"))).toMatch(/^(08|57)/);
    expect(
      (
        await converse(client, [run("SELECT count(*) FROM accounts WHERE balance > 1000"), sync()])
      )[0],
    ).toMatch(/^ErrorResponse .* C=(08|57)/);
    const late = await servers.proxy.connect();
    expect(await late.query("SELECT name FROM accounts WHERE id = 1")).toEqual([["ann"]]);

    await servers.first.restart();
    const end = performance.now() + 15_000;
    while (
      (await outcome(client.query("SELECT * FROM notes"))) !== "done" &&
      performance.now() < end
    )
      await sleep(100);
    expect(await client.query("SELECT * FROM notes")).toEqual([]);
    for (const each of [client, idle, late]) await each.close();
  });
});

describe("SIGTERM", () => {
  test("sends idle clients away at once, others after their transaction", async () => {
    const [idle, busy, running] = await Promise.all([
      servers.proxy.connect(),
      servers.proxy.connect(),
      servers.proxy.connect(),
    ]);
    await busy.query("BEGIN; UPDATE accounts SET balance = 77 WHERE id = 1");
    const sleeping = outcome(
      running.query("SELECT late_sleep(1.5 + id * 0) FROM accounts WHERE id = 101"),
    );
    await sleep(300);
    process.kill(servers.proxy.pid, "SIGTERM");
    await expect(idle.receive().then(() => idle.receive())).rejects.toBeInstanceOf(ConnectionLost);
    await expect(servers.proxy.connect()).rejects.toThrow("ECONNREFUSED");
    expect(await busy.query("SELECT balance FROM accounts WHERE id = 1")).toEqual([["77"]]);
    expect(await converse(busy, [query("COMMIT")])).toEqual([
      "CommandComplete COMMIT",
      "ReadyForQuery I",
    ]);
    expect(await sleeping).toBe("done");
    for (const client of [busy, running])
      await expect(client.receive().then(() => client.receive())).rejects.toBeInstanceOf(
        ConnectionLost,
      );
    const end = performance.now() + 10_000;
    while (servers.proxy.isAlive() && performance.now() < end) await sleep(50);
    expect(servers.proxy.isAlive()).toBe(false);
    const { rows } = await servers.second.query(
      "east",
      "SELECT balance FROM accounts WHERE id = 1",
    );
    expect(rows).toEqual([{ balance: 77 }]);
  });
});
