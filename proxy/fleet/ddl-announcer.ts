/**
 * Tells the fleet of this proxy's DDL before it commits, and that it is over: see
 * control/ddl-intents.ts. Over one connection of its own, opened when it is first needed, one
 * question at a time: renewals are not to wait for DDL.
 */
import { randomUUID } from "node:crypto";
import { FLEET_RENEW_TIMEOUT_MS } from "../../base/limits.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { announceDdl, endDdl, untilSeen } from "../../control/ddl-intents.ts";
import { listProxies } from "../../control/fleet-state.ts";
import type { MapIdentity } from "../../control/fleet-state.ts";
import { LeaseWatch } from "../../control/lease-watch.ts";
import { requireControlSchema } from "../../control/schema-versions.ts";
import type { BackendAddress } from "../backend/backend-address.ts";

export interface DdlAnnouncerOptions {
  readonly control: BackendAddress;
  /** The proxy's, in its row. */
  readonly id: string;
  /** Resolves once the proxy serves this map, or a later one. */
  readonly serve: (map: MapIdentity | undefined) => Promise<void>;
}

export interface OpenDdl {
  /** That proxies know it by. */
  readonly id: string;
  /** Once the transaction is over, and loaded. Never rejects: where it fails, others find out. */
  end(): Promise<void>;
}

export class DdlAnnouncer {
  readonly #options: DdlAnnouncerOptions;
  readonly #watch = new LeaseWatch();
  #database: ControlDatabase | undefined;
  #last: Promise<unknown> = Promise.resolve();
  #isStopped = false;

  constructor(options: DdlAnnouncerOptions) {
    this.#options = options;
  }

  /**
   * Resolves once every proxy asks the catalog database before it uses what it knew before, and
   * this one serves the map in force, which stays so up to `end`. `transaction`: its id in the
   * catalog database; undefined of what has committed. Rejects where that cannot be had soon.
   */
  async announce(transaction: string | undefined): Promise<OpenDdl> {
    const { id: proxy, serve } = this.#options;
    const id = randomUUID();
    const open = { id, end: () => this.#end(id) };
    try {
      const { revision, map } = await this.#ask((database) =>
        announceDdl(database, { id, transaction }, proxy),
      );
      await serve(map);
      await untilSeen(() => this.#ask(listProxies), revision, this.#watch);
      return open;
    } catch (error) {
      await open.end();
      throw error;
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#disconnect();
  }

  async #end(id: string): Promise<void> {
    await this.#ask((database) => endDdl(database, [id])).catch(() => undefined);
  }

  #ask<T>(question: (database: ControlDatabase) => Promise<T>): Promise<T> {
    const answer = this.#last.catch(() => undefined).then(() => this.#askNow(question));
    this.#last = answer;
    return answer;
  }

  async #askNow<T>(question: (database: ControlDatabase) => Promise<T>): Promise<T> {
    const database = await this.#connect();
    const expiry = setTimeout(() => database.connection.destroy(), FLEET_RENEW_TIMEOUT_MS);
    try {
      return await question(database);
    } catch (error) {
      this.#disconnect();
      throw error;
    } finally {
      clearTimeout(expiry);
    }
  }

  async #connect(): Promise<ControlDatabase> {
    if (this.#isStopped) throw new Error("the proxy has stopped");
    if (this.#database?.connection.isBroken === false) return this.#database;
    const database = await ControlDatabase.open(this.#options.control);
    this.#database = database;
    await requireControlSchema(database);
    return database;
  }

  #disconnect(): void {
    this.#database?.connection.close();
    this.#database = undefined;
  }
}
