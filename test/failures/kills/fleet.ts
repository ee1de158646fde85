/**
 * Two PostgreSQL servers with four databases of a bank and the catalog, and two proxies before
 * them: what can be killed, and what starts it again at once, as a machine's supervisor does.
 *
 * It knows how many of them there are and that they come back, and nothing of accounts.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startPostgres } from "../../support/postgres.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { startTestProxy } from "../../support/proxy.ts";
import type { TestProxy } from "../../support/proxy.ts";
import type { RawClient } from "../../support/raw-client.ts";
import { bankMap, DATABASES } from "./bank.ts";
import type { Bank } from "./bank.ts";

const PROXIES = 2;
const RESTART_ATTEMPTS = 20;

/** A process that dies by SIGKILL and is started again. */
export interface Victim {
  readonly name: string;
  isUp(): boolean;
  kill(): Promise<void>;
  /** Resolves once it serves again. */
  restart(): Promise<void>;
}

export class Fleet implements Bank, AsyncDisposable {
  readonly servers: readonly TestPostgres[];
  readonly #proxies: ProxySlot[];
  readonly #servers: readonly ServerSlot[];

  static async start(schema: string): Promise<Fleet> {
    const settings = { max_prepared_transactions: "100", max_connections: "150" };
    const [left, right] = await Promise.all([
      startPostgres({ databases: ["home", "bank0", "bank1"], settings }),
      startPostgres({ databases: ["bank2", "bank3"], settings }),
    ]);
    const fleet = new Fleet([left, right]);
    try {
      await left.query("home", schema);
      for (const name of DATABASES) await fleet.serverOf(name).query(name, schema);
      await Promise.all(fleet.#proxies.map((slot) => slot.restart()));
      return fleet;
    } catch (cause) {
      await fleet[Symbol.asyncDispose]();
      throw cause;
    }
  }

  private constructor(servers: readonly [TestPostgres, TestPostgres]) {
    this.servers = servers;
    this.#servers = servers.map((server, index) => new ServerSlot(`server ${index}`, server));
    const map = bankMap(1, (name) => this.serverOf(name).url(name));
    this.#proxies = Array.from(
      { length: PROXIES },
      (_, index) => new ProxySlot(`proxy ${index}`, map),
    );
  }

  get victims(): readonly Victim[] {
    return [...this.#proxies, ...this.#servers];
  }

  serverOf(database: string): TestPostgres {
    const index = ["bank2", "bank3"].includes(database) ? 1 : 0;
    return this.servers[index] as TestPostgres;
  }

  async connect(preferred: number): Promise<RawClient> {
    const up = this.#proxies.filter((slot) => slot.isUp());
    const slot = up[preferred % Math.max(up.length, 1)];
    if (slot?.proxy === undefined) throw new Error("no proxy is up");
    return await slot.proxy.connect();
  }

  /** The ends of all logs of proxies, of those that were killed too. */
  logs(): readonly string[] {
    return this.#proxies.flatMap(({ logs }) => logs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#proxies.map((slot) => slot.stop()));
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

class ProxySlot implements Victim {
  readonly name: string;
  readonly #map: string;
  readonly #ended: string[] = [];
  proxy: TestProxy | undefined;
  #isStopped = false;

  constructor(name: string, map: string) {
    this.name = name;
    this.#map = map;
  }

  get logs(): readonly string[] {
    return this.proxy === undefined ? this.#ended : [...this.#ended, this.proxy.output()];
  }

  isUp(): boolean {
    return this.proxy?.isAlive() === true;
  }

  async kill(): Promise<void> {
    const { proxy } = this;
    this.proxy = undefined;
    if (proxy === undefined) return;
    process.kill(proxy.pid, "SIGKILL");
    await proxy.stop();
    this.#ended.push(proxy.output());
  }

  /** A proxy does not start without its catalog database, so it may take some attempts. */
  async restart(): Promise<void> {
    for (let attempt = 1; !this.#isStopped; attempt++) {
      try {
        const proxy = await startTestProxy(this.#map, { config: { pool: { size: 12 } } });
        if (this.#isStopped) await proxy.stop();
        else this.proxy = proxy;
        return;
      } catch (error) {
        if (attempt === RESTART_ATTEMPTS) throw error;
        await sleep(200);
      }
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.proxy?.stop();
  }
}

export class ServerSlot implements Victim {
  readonly name: string;
  readonly #server: TestPostgres;
  #isUp = true;

  constructor(name: string, server: TestPostgres) {
    this.name = name;
    this.#server = server;
  }

  isUp(): boolean {
    return this.#isUp;
  }

  async kill(): Promise<void> {
    this.#isUp = false;
    await this.#server.kill9();
  }

  /** Its orphaned backends hold the old shared memory until they notice that it is gone. */
  async restart(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#server.restart();
        this.#isUp = true;
        return;
      } catch (error) {
        if (attempt === RESTART_ATTEMPTS) throw error;
        await sleep(200);
      }
    }
  }
}
