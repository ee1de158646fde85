/**
 * Nothing leaks between clients that share backends: many of them with settings, temporary
 * tables of one name, advisory locks and prepared statements of their own, which leave, are
 * cancelled and fail at any time. Each verifies all it reads.
 *
 * COLONNADE_FULL=1: 200 clients for 5 minutes.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Client, DatabaseError } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

const IS_FULL = process.env["COLONNADE_FULL"] === "1";
const CLIENTS = IS_FULL ? 200 : 30;
const RUN_MS = IS_FULL ? 300_000 : 20_000;
/** Half of it may be pinned, which is fewer than want to be. */
const POOL_SIZE = 40;

/** What a client may be told in this crowd: cancelled, no pinned backend left, a lock not granted in time. */
const EXPECTED = new Set(["57014", "53300", "22012", "55P03"]);

let servers: Servers;
beforeAll(async () => {
  servers = await startServers({ config: { pool: { size: POOL_SIZE } } });
});
afterAll(async () => {
  await servers[Symbol.asyncDispose]();
});

/** Seeded, so that a run can be had again: mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

class Visitor {
  readonly #id: number;
  readonly #random: () => number;
  readonly leaks: string[] = [];
  readonly done = new Map<string, number>();
  #client: Client | undefined;
  #temporary: number[] | undefined;
  /** Of its own keys, how often each is locked. */
  readonly #locks = new Map<number, number>();
  #name = "";
  #tenant = "";

  constructor(id: number) {
    this.#id = id;
    this.#random = randomOf(id + 1);
  }

  async run(until: number): Promise<void> {
    while (performance.now() < until) {
      try {
        await this.#step(this.#client ?? (await this.#connect()));
      } catch (error) {
        this.#count("expected errors");
        if (!(error instanceof DatabaseError) || !EXPECTED.has(error.code ?? ""))
          this.#leak(`unexpected: ${String(error)}`);
        await this.#leave();
      }
    }
    await this.#leave();
  }

  async #connect(): Promise<Client> {
    this.#name = `visitor ${this.#id}.${Math.floor(this.#random() * 1e6)}`;
    const client = new Client({
      host: "127.0.0.1",
      port: servers.proxy.port,
      user: "postgres",
      database: "app",
      application_name: this.#name,
    });
    client.on("error", () => undefined);
    await client.connect();
    this.#client = client;
    this.#temporary = undefined;
    this.#locks.clear();
    this.#tenant = "";
    return client;
  }

  async #leave(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #step(client: Client): Promise<void> {
    const steps = [
      () => this.#readSettings(client),
      () => this.#changeSettings(client),
      () => this.#useTemporary(client),
      () => this.#useTemporary(client),
      () => this.#dropTemporary(client),
      () => this.#lock(client),
      () => this.#unlock(client),
      () => this.#prepared(client),
      () => this.#fail(client),
      () => this.#cancel(client),
      () => this.#disconnect(client),
    ];
    await steps[Math.floor(this.#random() * steps.length)]?.();
  }

  async #readSettings(client: Client): Promise<void> {
    this.#count("settings");
    const id = [1, 101, 201][Math.floor(this.#random() * 3)];
    const { rows } = await client.query<Record<string, string>>(
      `SELECT current_setting('application_name') AS name,
              coalesce(current_setting('app.tenant', true), '') AS tenant FROM public.accounts WHERE id = $1`,
      [id],
    );
    this.#expect("settings", rows, [{ name: this.#name, tenant: this.#tenant }]);
  }

  async #changeSettings(client: Client): Promise<void> {
    this.#count("set");
    const tenant = `tenant ${this.#id}.${Math.floor(this.#random() * 1e6)}`;
    const isLocal = this.#random() < 0.3;
    await client.query("SELECT set_config('app.tenant', $1, $2)", [tenant, isLocal]);
    if (!isLocal) this.#tenant = tenant;
  }

  async #useTemporary(client: Client): Promise<void> {
    this.#count("temporary tables");
    const value = this.#id * 1_000_000 + Math.floor(this.#random() * 1_000_000);
    if (this.#temporary === undefined) {
      const { rows } = await client.query("SELECT id FROM accounts WHERE id = 1");
      this.#expect("the table of the map", rows, [{ id: "1" }]);
      await client.query("CREATE TEMP TABLE accounts (id bigint)");
      this.#temporary = [];
    }
    await client.query("INSERT INTO accounts VALUES ($1)", [value]);
    this.#temporary.push(value);
    const { rows } = await client.query<{ id: string }>({
      name: "own",
      text: "SELECT id FROM accounts ORDER BY id",
    });
    const own = this.#temporary.toSorted((left, right) => left - right);
    this.#expect(
      "own rows",
      rows,
      own.map((id) => ({ id: String(id) })),
    );
  }

  async #dropTemporary(client: Client): Promise<void> {
    if (this.#temporary === undefined) return;
    this.#count("temporary tables dropped");
    await client.query(this.#random() < 0.5 ? "DROP TABLE accounts" : "DISCARD TEMP");
    this.#temporary = undefined;
    const { rows } = await client.query<{ count: string }>("SELECT count(*) FROM accounts");
    this.#expect("the table of the map", rows, [{ count: "4" }]);
  }

  /** Keys are the client's own, so each lock is granted unless a left session still holds it. */
  async #lock(client: Client): Promise<void> {
    this.#count("locks");
    const key = Math.floor(this.#random() * 3);
    const granted = await this.#flag(client, "pg_try_advisory_lock", key);
    // An earlier session of this client may be on its way out.
    if (granted) this.#locks.set(key, (this.#locks.get(key) ?? 0) + 1);
    else if (this.#locks.has(key)) this.#leak(`its own lock ${key} is another's`);
  }

  async #unlock(client: Client): Promise<void> {
    const key = Math.floor(this.#random() * 3);
    const held = this.#locks.get(key) ?? 0;
    const unlocked = await this.#flag(client, "pg_advisory_unlock", key);
    if (unlocked !== held > 0) this.#leak(`lock ${key} held ${held} times, unlocked ${unlocked}`);
    if (held > 1) this.#locks.set(key, held - 1);
    else this.#locks.delete(key);
  }

  async #flag(client: Client, name: string, key: number): Promise<boolean> {
    const { rows } = await client.query<{ is: boolean }>(`SELECT ${name}($1, $2) AS is`, [
      this.#id,
      key,
    ]);
    return rows[0]?.is === true;
  }

  async #prepared(client: Client): Promise<void> {
    this.#count("prepared");
    const { rows } = await client.query({
      name: "shared name",
      text: `SELECT ${this.#id} AS id, $1::text AS given`,
      values: [this.#name],
    });
    this.#expect("prepared", rows, [{ id: this.#id, given: this.#name }]);
  }

  /** A transaction that fails keeps nothing of what it made. */
  async #fail(client: Client): Promise<void> {
    this.#count("failures");
    await client.query("BEGIN");
    await client.query("SELECT set_config('app.tenant', 'of a failed transaction', false)");
    await client.query("CREATE TEMP TABLE of_a_failed_transaction (a int)");
    const failure: unknown = await client.query("SELECT 1 / 0").catch((error: unknown) => error);
    if (!(failure instanceof DatabaseError) || failure.code !== "22012") throw failure;
    await client.query("ROLLBACK");
    const { rows } = await client.query(
      "SELECT count(*)::int AS count FROM pg_class WHERE relname = 'of_a_failed_transaction' AND pg_table_is_visible(oid)",
    );
    this.#expect("a failed transaction's table", rows, [{ count: 0 }]);
  }

  async #cancel(client: Client): Promise<void> {
    this.#count("cancels");
    const slept = client.query("SELECT pg_sleep(1)").catch((error: unknown) => error);
    await sleep(this.#random() * 50);
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    await cancelOf(processID, secretKey);
    const error: unknown = await slept;
    // A request that is faster than the statement stops nothing.
    const hasSlept = typeof error === "object" && error !== null && "rowCount" in error;
    if (!hasSlept && !(error instanceof DatabaseError && error.code === "57014"))
      this.#leak(`a cancelled statement ended with ${String(error)}`);
  }

  async #disconnect(client: Client): Promise<void> {
    this.#count("disconnects");
    if (this.#random() < 0.5) {
      (
        client as unknown as { connection: { stream: { destroy(): void } } }
      ).connection.stream.destroy();
      this.#client = undefined;
      return;
    }
    await this.#leave();
  }

  #expect(what: string, read: unknown, own: unknown): void {
    if (JSON.stringify(read) !== JSON.stringify(own))
      this.#leak(`${what}: ${JSON.stringify(read)} and not ${JSON.stringify(own)}`);
  }

  #leak(what: string): void {
    this.leaks.push(`client ${this.#id}: ${what}`);
  }

  #count(step: string): void {
    this.done.set(step, (this.done.get(step) ?? 0) + 1);
  }
}

/** As libpq: a connection of its own, closed by the server once the request was taken. */
async function cancelOf(processId: number, secretKey: number): Promise<void> {
  const { connect } = await import("node:net");
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(80_877_102, 4);
  packet.writeInt32BE(processId, 8);
  packet.writeInt32BE(secretKey, 12);
  await new Promise<void>((resolve) => {
    const socket = connect(servers.proxy.port, "127.0.0.1", () => socket.write(packet));
    socket.on("error", () => undefined);
    socket.once("close", () => resolve());
  });
}

test(
  `${CLIENTS} clients read nothing of each other`,
  async () => {
    await servers.reset();
    const visitors = Array.from({ length: CLIENTS }, (_, id) => new Visitor(id));
    const until = performance.now() + RUN_MS;
    await Promise.all(visitors.map((visitor) => visitor.run(until)));
    const done = new Map<string, number>();
    for (const visitor of visitors)
      for (const [step, count] of visitor.done) done.set(step, (done.get(step) ?? 0) + count);
    console.log(JSON.stringify(Object.fromEntries(done)));
    expect(visitors.flatMap(({ leaks }) => leaks)).toEqual([]);
    expect(done.get("temporary tables")).toBeGreaterThan(CLIENTS);

    // All have left: so has what they held.
    await expect
      .poll(async () => (await servers.first.query("main", LEFT)).rows, { timeout: 10_000 })
      .toEqual([{ locks: 0, relations: 0 }]);
  },
  RUN_MS + 60_000,
);

const LEFT = `SELECT
  (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
  (SELECT count(*)::int FROM pg_class WHERE relpersistence = 't') AS relations`;
