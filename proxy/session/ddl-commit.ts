/**
 * What is around the commit of DDL, so that whoever is told of it finds it through every proxy: the
 * fleet is told before, and this proxy's catalog, and its workers', are loaded after it. DDL that
 * was planned for another map than the one in force does not commit.
 */
import { refuseOldMap } from "./old-map.ts";
import type { ShardMap } from "../../shardmap/shard-map.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Transaction } from "../execution/transaction.ts";
import type { SessionServices } from "./session-services.ts";

/** DDL that the fleet knows of. */
export interface AnnouncedDdl {
  readonly id: string;
  /** It is over, and loaded here. Never rejects. */
  end(): Promise<void>;
}

type Services = Pick<
  SessionServices,
  | "announceDdl"
  | "catalogChanged"
  | "catalogTrust"
  | "log"
  | "refreshCatalog"
  | "sequences"
  | "topology"
>;

export class DdlCommit {
  readonly #services: Services;
  #announced: AnnouncedDdl | undefined;

  constructor(services: Services) {
    this.#services = services;
  }

  /** Right before the commit. Throws where `map`, which the DDL was planned for, is not in force or cannot be told to be. */
  async prepare(map: ShardMap, transaction: Transaction): Promise<void> {
    this.#announced = await this.#announce(await this.#transactionId(transaction));
    try {
      refuseOldMap(map, this.#services.topology().map);
    } catch (error) {
      await this.#end();
      throw error;
    }
  }

  /**
   * After the commit. What has committed is answered as committed, whatever becomes of the catalog
   * database: the catalog is looked at again as if somebody else had changed it.
   */
  async committed(): Promise<void> {
    const { refreshCatalog, catalogTrust, catalogChanged, sequences, log } = this.#services;
    await sequences.forget();
    try {
      await refreshCatalog();
      if (this.#announced !== undefined) catalogTrust.settle(this.#announced.id);
      await catalogChanged();
    } catch (error) {
      log.warn({ err: error }, "the catalog could not be loaded after a change");
    }
    await this.#end();
  }

  /** DDL that commits by itself, statement by statement, has run, or a part of it: the fleet hears of it afterwards. */
  async committedAlone(): Promise<void> {
    const { log } = this.#services;
    try {
      this.#announced = await this.#announce(undefined);
    } catch (error) {
      log.warn({ err: error }, "other proxies find DDL by themselves, since they cannot be told");
    }
    await this.committed();
  }

  /** The transaction is over, in one way or another: who asks after it learns which. */
  forget(): void {
    this.#announced = undefined;
  }

  async #end(): Promise<void> {
    await this.#announced?.end();
    this.#announced = undefined;
  }

  /** Its changes of the catalog are those of its part in the catalog database. */
  async #transactionId(transaction: Transaction): Promise<string | undefined> {
    const { catalog } = this.#services.topology().map;
    const part = transaction.participants.find(({ database }) => database === catalog);
    const answer = await part?.connection.query("SELECT pg_catalog.pg_current_xact_id()");
    return answer?.rows[0]?.[0] ?? undefined;
  }

  async #announce(transaction: string | undefined): Promise<AnnouncedDdl | undefined> {
    try {
      return await this.#services.announceDdl(transaction);
    } catch (cause) {
      const message = "DDL cannot commit while the other proxies cannot be told of it";
      const detail = cause instanceof Error ? cause.message : String(cause);
      throw new SqlError("ddl_unconfirmed", message, { cause, detail });
    }
  }
}
