/**
 * A proxy's part in a fleet: it keeps its row in the control schema, hears of each revision
 * at once, and puts the map in force that the schema names.
 *
 *     NOTIFY or the interval ──▶ renew: what is applied, what is to be applied
 *                                  └─ another map version ──▶ fetch, apply, renew again
 *
 * Where the control schema cannot be reached, the proxy goes on with the map it has, and says so.
 * It knows nothing of what applying a map means.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CONTROL_CHANNEL } from "../../control/control-schema.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { endLease, forgetSilentProxies, renewLease } from "../../control/fleet-state.ts";
import type { FleetState, ProxyReport } from "../../control/fleet-state.ts";
import { publishedMapOf } from "../../control/map-versions.ts";
import type { PublishedMap } from "../../control/map-versions.ts";
import { requireControlSchema } from "../../control/schema-versions.ts";
import {
  FLEET_FORGET_SILENT_MS,
  FLEET_LEASE_MS,
  FLEET_LEAVE_TIMEOUT_MS,
  FLEET_RENEW_INTERVAL_MS,
  FLEET_RENEW_TIMEOUT_MS,
} from "../../base/limits.ts";
import { databaseName } from "../../base/ids.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { BackendAddress } from "../backend/backend-address.ts";
import { ListeningConnection } from "../notifications/listening-connection.ts";

export interface FleetMemberOptions {
  /** The database of the control schema. */
  readonly control: BackendAddress;
  readonly self: Pick<ProxyReport, "id" | "name" | "address" | "processId" | "programVersion">;
  /** Of the map that is in force in this proxy. */
  readonly mapVersion: () => number;
  /** Puts a map in force, or throws why it cannot; the old one stays then. */
  readonly apply: (map: PublishedMap) => Promise<void>;
  readonly log: Log;
  readonly metrics: Metrics;
}

interface Links {
  readonly database: ControlDatabase;
  readonly listening: ListeningConnection;
}

export class FleetMember {
  readonly #options: FleetMemberOptions;
  #links: Links | undefined;
  #appliedRevision = 0;
  #problem: string | undefined;
  #isConnected: boolean | undefined;
  #wake: () => void = () => undefined;
  #isAwake = false;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: FleetMemberOptions) {
    this.#options = options;
  }

  /** Goes on until `stop`; what fails is tried again. */
  start(): void {
    this.#running = this.#run();
  }

  /** Looks at once, for somebody who does not want to wait. */
  look(): void {
    this.#wake();
  }

  /** The row is taken away where that is possible soon, so that nobody waits for this proxy. */
  async stop(): Promise<void> {
    this.#stop.abort();
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
      try {
        await this.#round();
        this.#tell(true);
      } catch (error) {
        this.#disconnect();
        if (!this.#stop.signal.aborted) this.#tell(false, error);
      }
      await this.#rest();
    }
  }

  /** One renewal, and another at once where it brought something new. */
  async #round(): Promise<void> {
    const { database } = await this.#connect();
    const state = await this.#renew(database);
    if (state.revision === this.#appliedRevision && this.#problem === undefined) return;
    await this.#follow(database, state);
    await this.#renew(database);
  }

  #renew(database: ControlDatabase): Promise<FleetState> {
    const { self, mapVersion } = this.#options;
    const report: ProxyReport = {
      ...self,
      leaseMs: FLEET_LEASE_MS,
      mapVersion: mapVersion(),
      appliedRevision: this.#appliedRevision,
      problem: this.#problem,
    };
    return renewLease(database, report, AbortSignal.timeout(FLEET_RENEW_TIMEOUT_MS));
  }

  async #follow(database: ControlDatabase, state: FleetState): Promise<void> {
    const { mapVersion, apply, log } = this.#options;
    const { revision, mapVersion: wanted } = state;
    if (wanted !== undefined && wanted !== mapVersion()) {
      const map = await publishedMapOf(database, wanted);
      try {
        await apply(map);
        log.info({ mapVersion: wanted, revision }, "shard map applied");
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        if (problem !== this.#problem)
          log.error({ err: error, mapVersion: wanted }, "shard map refused; the old one stays");
        this.#problem = problem;
        return;
      }
    }
    this.#problem = undefined;
    this.#appliedRevision = revision;
  }

  async #connect(): Promise<Links> {
    const present = this.#links;
    if (present !== undefined) return present;
    const { control } = this.#options;
    const database = await ControlDatabase.open(control, this.#stop.signal);
    try {
      await requireControlSchema(database);
      // Listened to before the first look, so that no change falls in between.
      const listening = await this.#listen(control);
      await forgetSilentProxies(database, FLEET_FORGET_SILENT_MS);
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
    links?.database.connection.close();
    links?.listening.close();
  }

  /** Until the next renewal is due, or somebody has news. */
  async #rest(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    if (!this.#isAwake) {
      const woken = Promise.withResolvers<void>();
      const timer = setTimeout(woken.resolve, FLEET_RENEW_INTERVAL_MS);
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
    const { log, metrics, mapVersion } = this.#options;
    metrics.set("colonnade_control_connected", {}, isConnected ? 1 : 0);
    if (this.#isConnected === isConnected) return;
    if (isConnected) log.info("following the control schema");
    else
      log.error(
        { err: error, mapVersion: mapVersion() },
        "the control schema cannot be reached; going on with the map in force",
      );
    this.#isConnected = isConnected;
  }
}
