/**
 * A proxy's part in a fleet: it keeps its row in the control schema, hears of each revision
 * at once, and puts in force what the schema names: the map, then the holds, then the lease.
 *
 *     NOTIFY or the interval ──▶ renew: what is applied, what is to be applied
 *                                  └─ something new ──▶ fetch, apply, renew again
 *
 * The lease is prolonged only once all is in force that the answer to its renewal named: it is
 * the leave to serve what that answer knew of. Where the control schema cannot be reached, the
 * proxy goes on with the map it has, and says so, until the lease runs out for what is leased.
 * It knows nothing of what applying a map, or a hold, means.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { CONTROL_CHANNEL } from "../../control/control-schema.ts";
import { ControlDatabase, controlConnectError } from "../../control/control-database.ts";
import { endLease, forgetSilentProxies, renewLease } from "../../control/fleet-state.ts";
import { endDdl } from "../../control/ddl-intents.ts";
import type { DdlIntent, FleetState, HoldAnswer, ProxyReport } from "../../control/fleet-state.ts";
import { endExpiredHolds } from "../../control/holds.ts";
import { publishedMapOf } from "../../control/map-versions.ts";
import type { PublishedMap } from "../../control/map-versions.ts";
import { requireControlSchema } from "../../control/schema-versions.ts";
import {
  FLEET_FORGET_INTERVAL_MS,
  FLEET_FORGET_SILENT_MS,
  FLEET_HOLDING_RENEW_INTERVAL_MS,
  FLEET_LEASE_MS,
  FLEET_LEASE_SHORT_MS,
  FLEET_LEAVE_TIMEOUT_MS,
  FLEET_RENEW_INTERVAL_MS,
  FLEET_RENEW_TIMEOUT_MS,
} from "../../base/limits.ts";
import { databaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { DdlAnnouncer } from "./ddl-announcer.ts";
import type { OpenDdl } from "./ddl-announcer.ts";
import { ListeningConnection } from "../notifications/listening-connection.ts";

export interface FleetMemberOptions {
  /** The database of the control schema. */
  readonly control: BackendAddress;
  readonly self: Pick<ProxyReport, "id" | "name" | "address" | "processId" | "programVersion">;
  /** Of the map that is in force in this proxy; of one from a file, the hash is not known. */
  readonly map: () => { readonly version: number; readonly hash: string | undefined };
  /** Puts a map in force, or throws why it cannot; the old one stays then. */
  readonly apply: (map: PublishedMap) => Promise<void>;
  readonly obeyed: Obeyed;
  readonly catalog: DoubtedCatalog;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** What obeys holds, and refuses what is leased without a lease. */
export interface Obeyed {
  /** In force when it returns. The lease counts from `sentMs`, of performance.now(). */
  follow(
    demands: Pick<FleetState, "holds" | "leased">,
    lease: { readonly sentMs: number; readonly leaseMs: number },
  ): void;
  shortenLease(leaseMs: number): void;
  readonly reports: readonly HoldAnswer[];
  onDrained: () => void;
}

/** What is not used as it is while DDL that it may lack is under way. */
export interface DoubtedCatalog {
  /** In force when it returns; `sentMs` of performance.now(). */
  follow(ddl: readonly DdlIntent[], sentMs: number): void;
  /** Ids of what is over. */
  readonly settled: readonly string[];
}

interface Renewal {
  readonly state: FleetState;
  readonly sentMs: number;
  readonly leaseMs: number;
}

interface Links {
  readonly database: ControlDatabase;
  readonly listening: ListeningConnection;
}

export class FleetMember {
  readonly #options: FleetMemberOptions;
  readonly #announcer: DdlAnnouncer;
  #links: Links | undefined;
  #appliedRevision = 0;
  #problem: string | undefined;
  /** What the proxy asks for: short while there are holds. */
  #leaseMs = FLEET_LEASE_MS;
  /** When a hold is to be ended, if nobody has by then; of performance.now(). */
  #nextDeadlineMs = Number.POSITIVE_INFINITY;
  /** Rows of proxies that have died are looked for at the start, and now and then. */
  #nextForgettingMs = 0;
  #isConnected: boolean | undefined;
  #wake: () => void = () => undefined;
  #isAwake = false;
  /** Who waits for a round that begins from now on. */
  #confirming: PromiseWithResolvers<void>[] = [];
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: FleetMemberOptions) {
    this.#options = options;
    this.#announcer = new DdlAnnouncer({
      control: options.control,
      id: options.self.id,
      serve: async (wanted) => {
        if (!isDeepStrictEqual(wanted, options.map())) await this.confirm();
      },
    });
    options.obeyed.onDrained = () => this.#wake();
  }

  /** Goes on until `stop`; what fails is tried again. */
  start(): void {
    this.#running = this.#run();
  }

  /**
   * Fulfilled once the proxy has asked the control schema, after the call, and has put in force what it
   * said: no newer map was published before the call. Rejects where that cannot be told soon.
   */
  async confirm(): Promise<void> {
    const confirmed = Promise.withResolvers<void>();
    if (this.#stop.signal.aborted) settle([confirmed], stopped());
    this.#confirming.push(confirmed);
    this.#wake();
    await confirmed.promise;
  }

  /** See DdlAnnouncer.announce. */
  announceDdl(transaction: string | undefined): Promise<OpenDdl> {
    return this.#announcer.announce(transaction);
  }

  /** The row is taken away where that is possible soon, so that nobody waits for this proxy. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#announcer.stop();
    this.#wake();
    await this.#running;
    const links = this.#links;
    if (links === undefined) return;
    await Promise.race([
      endLease(links.database, this.#options.self.id).catch(() => undefined),
      sleep(FLEET_LEAVE_TIMEOUT_MS, undefined, { ref: false }),
    ]);
    this.#disconnect();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const confirming = this.#confirming;
      this.#confirming = [];
      try {
        await this.#round();
        this.#tell(true);
        settle(confirming, this.#problem === undefined ? undefined : refused(this.#problem));
      } catch (error) {
        this.#disconnect();
        this.#nextDeadlineMs = Number.POSITIVE_INFINITY;
        if (!this.#stop.signal.aborted) this.#tell(false, error);
        settle(confirming, unreachableBecauseOf(error));
      }
      await this.#rest();
    }
    settle(this.#confirming, stopped());
  }

  /** One renewal, and another at once where it brought something new. */
  async #round(): Promise<void> {
    const { database } = await this.#connect();
    const isNew = await this.#follow(database, await this.#renew(database));
    if (isNew) await this.#follow(database, await this.#renew(database));
    if (performance.now() < this.#nextForgettingMs) return;
    await answered(database, () => forgetSilentProxies(database, FLEET_FORGET_SILENT_MS));
    this.#nextForgettingMs = performance.now() + FLEET_FORGET_INTERVAL_MS;
  }

  async #renew(database: ControlDatabase): Promise<Renewal> {
    const { self, map, obeyed } = this.#options;
    const leaseMs = this.#leaseMs;
    // From the moment it may be read that the lease is short, it is.
    obeyed.shortenLease(leaseMs);
    const report: ProxyReport = {
      ...self,
      leaseMs,
      mapVersion: map().version,
      appliedRevision: this.#appliedRevision,
      holds: obeyed.reports.map(({ name, attempt, open, waiting }) => {
        return { name, attempt, open, waiting };
      }),
      problem: this.#problem,
    };
    const sentMs = performance.now();
    const signal = AbortSignal.timeout(FLEET_RENEW_TIMEOUT_MS);
    return { state: await renewLease(database, report, signal), sentMs, leaseMs };
  }

  /** Whether there is something to tell at once. */
  async #follow(database: ControlDatabase, { state, sentMs, leaseMs }: Renewal): Promise<boolean> {
    const before = this.#problem;
    await this.#followMap(database, state);
    if (this.#problem !== undefined) return this.#problem !== before;
    const { revision, holds, leased, ddl } = state;
    const started = holds.filter(({ isStarted }) => isStarted);
    this.#options.obeyed.follow({ holds: started, leased }, { sentMs, leaseMs });
    this.#options.catalog.follow(ddl, sentMs);
    await this.#forgetSettled(database, ddl);
    this.#leaseMs = holds.length > 0 ? FLEET_LEASE_SHORT_MS : FLEET_LEASE_MS;
    const isNew =
      revision !== this.#appliedRevision || leaseMs !== this.#leaseMs || before !== undefined;
    this.#appliedRevision = revision;
    const nextMs = Math.min(...holds.map(({ remainingMs }) => remainingMs));
    this.#nextDeadlineMs = performance.now() + nextMs;
    if (nextMs > 0) return isNew;
    await answered(database, () => endExpiredHolds(database));
    return true;
  }

  /** Whose proxy has died before it could say so. */
  async #forgetSettled(database: ControlDatabase, ddl: readonly DdlIntent[]): Promise<void> {
    const { settled } = this.#options.catalog;
    const ids = ddl.map(({ id }) => id).filter((id) => settled.includes(id));
    if (ids.length > 0) await answered(database, () => endDdl(database, ids));
  }

  async #followMap(database: ControlDatabase, state: FleetState): Promise<void> {
    const { map, apply, log } = this.#options;
    const { revision, map: wanted } = state;
    if (wanted !== undefined && !isDeepStrictEqual(wanted, map())) {
      const { version } = wanted;
      const published = await answered(database, () => publishedMapOf(database, version));
      try {
        await apply(published);
        log.info({ mapVersion: version, revision }, "shard map applied");
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        if (problem !== this.#problem)
          log.error({ err: error, mapVersion: version }, "shard map refused; the old one stays");
        this.#problem = problem;
        return;
      }
    }
    this.#problem = undefined;
  }

  async #connect(): Promise<Links> {
    const present = this.#links;
    if (present !== undefined) return present;
    const { control } = this.#options;
    const database = await ControlDatabase.open(control, this.#stop.signal);
    try {
      await answered(database, () => requireControlSchema(database));
      // Listened to before the first look, so that no change falls in between.
      const listening = await this.#listen(control);
      this.#links = { database, listening };
      return this.#links;
    } catch (error) {
      database.connection.close();
      throw error;
    }
  }

  async #listen(control: BackendAddress): Promise<ListeningConnection> {
    const listening = await ListeningConnection.open(control, {
      database: databaseName("control"),
      onNotification: () => this.#wake(),
    }).catch((error: unknown) => {
      throw controlConnectError(control, error);
    });
    try {
      await listening.listen(CONTROL_CHANNEL);
    } catch (error) {
      listening.close();
      throw error;
    }
    void listening.ended.then(() => {
      if (this.#links?.listening !== listening) return;
      this.#disconnect();
      this.#wake();
    });
    return listening;
  }

  #disconnect(): void {
    const links = this.#links;
    this.#links = undefined;
    // The next server may be one that does not know of all that was acknowledged.
    this.#appliedRevision = 0;
    links?.database.connection.close();
    links?.listening.close();
  }

  /** Until the next renewal is due, or somebody has news. */
  async #rest(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    if (!this.#isAwake) {
      const woken = Promise.withResolvers<void>();
      const untilDeadlineMs = Math.max(0, this.#nextDeadlineMs - performance.now()) + 1;
      const isHolding = this.#options.obeyed.reports.length > 0;
      const intervalMs = isHolding ? FLEET_HOLDING_RENEW_INTERVAL_MS : FLEET_RENEW_INTERVAL_MS;
      const restMs = Math.min(intervalMs, untilDeadlineMs);
      const timer = setTimeout(woken.resolve, restMs);
      this.#wake = woken.resolve;
      await woken.promise;
      clearTimeout(timer);
    }
    this.#isAwake = false;
    this.#wake = () => {
      this.#isAwake = true;
    };
  }

  #tell(isConnected: boolean, error?: unknown): void {
    const { log, metrics, map } = this.#options;
    metrics.set("colonnade_control_connected", {}, isConnected ? 1 : 0);
    if (this.#isConnected === isConnected) return;
    if (isConnected) log.info("following the control schema");
    else
      log.error(
        { err: error, mapVersion: map().version },
        "the control schema cannot be reached; going on with the map in force",
      );
    this.#isConnected = isConnected;
  }
}

function settle(
  waiting: readonly PromiseWithResolvers<void>[],
  problem: SqlError | undefined,
): void {
  for (const { resolve, reject } of waiting)
    if (problem === undefined) resolve();
    else reject(problem);
}

function stopped(): SqlError {
  return new SqlError("proxy_shutdown", "the proxy has stopped");
}

function refused(problem: string): SqlError {
  return new SqlError("reload_refused", `the shard map is refused: ${problem}`, {
    hint: "The old map stays. Publish one that this proxy can serve.",
  });
}

/** In a detail, since what a server said of the proxy's own connection is none of the client's. */
function unreachableBecauseOf(error: unknown): SqlError {
  const message = error instanceof Error ? error.message : String(error);
  const { detail, hint } = error instanceof SqlError ? error : {};
  return new SqlError(
    "control_unreachable",
    "the control schema cannot be asked for the shard map",
    {
      detail: [`${message.replace(/\.$/, "")}.`, detail]
        .filter((part) => part !== undefined)
        .join(" "),
      hint,
    },
  );
}

/** A network that swallows an answer closes nothing for many minutes. */
async function answered<T>(database: ControlDatabase, work: () => Promise<T>): Promise<T> {
  const timer = setTimeout(() => database.connection.destroy(), FLEET_RENEW_TIMEOUT_MS);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
