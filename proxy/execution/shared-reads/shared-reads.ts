/**
 * Reads of many clients over few backends. Those that arrive in one turn of the event loop are
 * collected, and sent in its check phase, after every socket that was readable has had its say: one
 * write for each connection.
 *
 * Connections are lent by the pool for as long as anything is under way on them. A group shares
 * them: one database, and sessions of the same settings and the same role (equal tags). A group
 * without a connection that is ready for it lends none: its reads are made by their sessions, which
 * make one ready by that.
 */
import type { DatabaseName } from "../../../base/ids.ts";
import { SHARED_READ_WATCH_MS, SHARED_READS_UNDER_WAY_MAX } from "../../../base/limits.ts";
import type { Metrics, Tally } from "../../../base/metrics.ts";
import type { Sharing } from "../../../planner/logical-plan.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import type { Rank } from "../../backend/pool-member.ts";
import { FrameWriter } from "../../protocol/frame-writer.ts";
import { isUsableWith } from "../custom-settings.ts";
import type { PreparedText } from "../prepared-texts.ts";
import type { SettingsScript } from "../session-settings.ts";
import { SharedConnection } from "./shared-connection.ts";
import type { SharedConnectionHost } from "./shared-connection.ts";
import { Sending, SharedRead } from "./shared-read.ts";
import type { Fallback, ReadOwner } from "./shared-read.ts";
import { SlowStatements } from "./slow-statements.ts";

/** The pools, as far as shared reads need them. */
export interface SharedBackends {
  tryAcquire(database: DatabaseName, rank: Rank): BackendConnection | undefined;
  release(connection: BackendConnection): void;
  /** It is of the pool that statements of its database go to now. */
  isCurrent(connection: BackendConnection): boolean;
}

export interface SharedReadsOptions {
  readonly backends: SharedBackends;
  /** Connections that one group uses at once. */
  readonly connectionsMax: number;
  readonly metrics: Metrics;
}

/** What is asked. */
export interface ReadRequest {
  readonly database: DatabaseName;
  /** Of the session that asks. */
  readonly settings: SettingsScript;
  readonly sharing: Sharing;
  readonly prepared: PreparedText | undefined;
  /** The same for all that are the same but for who asks; undefined where each is to have its own answer. */
  readonly likeness: string | undefined;
}

/** Sessions that may share connections. */
interface Group {
  readonly database: DatabaseName;
  readonly settings: SettingsScript;
  readonly connections: Set<SharedConnection>;
  /** To be sent with the end of this turn. */
  collected: Sending[];
  /** Those of them that others may join. */
  readonly alike: Map<string, Sending>;
}

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

export class SharedReads implements SharedConnectionHost {
  readonly #options: SharedReadsOptions;
  readonly #groups = new Map<DatabaseName, Map<string, Group>>();
  readonly #groupOf = new Map<SharedConnection, Group>();
  /** Groups that have collected something. */
  #awaiting: Group[] = [];
  readonly #slow = new SlowStatements();
  #watch: NodeJS.Timeout | undefined;
  readonly #reads: Tally;
  readonly #coalesced: Tally;
  readonly #writes: Tally;

  constructor(options: SharedReadsOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#reads = metrics.tally("colonnade_shared_reads_total", {});
    this.#coalesced = metrics.tally("colonnade_coalesced_reads_total", {});
    this.#writes = metrics.tally("colonnade_shared_read_writes_total", {});
  }

  /** Undefined where the owner has to ask by itself. */
  take(request: ReadRequest, owner: ReadOwner): SharedRead | undefined {
    if (this.#slow.isSlow(request.sharing, performance.now())) {
      this.fellBack("slow statement", 1);
      return undefined;
    }
    const group = this.#group(request);
    if (group.collected.length >= SHARED_READS_UNDER_WAY_MAX * this.#options.connectionsMax) {
      this.fellBack("full", 1);
      return undefined;
    }
    const read = new SharedRead(owner);
    this.#sendingFor(request, group).join(read);
    return read;
  }

  #sendingFor({ sharing, prepared, likeness }: ReadRequest, group: Group): Sending {
    const alike = likeness === undefined ? undefined : group.alike.get(likeness);
    if (alike?.isWanted === true) {
      this.#coalesced.increment();
      return alike;
    }
    const sending = new Sending(sharing, prepared);
    if (likeness !== undefined) group.alike.set(likeness, sending);
    if (group.collected.push(sending) === 1 && this.#awaiting.push(group) === 1)
      setImmediate(() => this.#send());
    return sending;
  }

  #group({ database, settings }: ReadRequest): Group {
    const groups = this.#groups.get(database) ?? new Map<string, Group>();
    const known = groups.get(settings.tag);
    if (known !== undefined) return known;
    const group: Group = {
      database,
      settings,
      connections: new Set(),
      collected: [],
      alike: new Map(),
    };
    groups.set(settings.tag, group);
    this.#groups.set(database, groups);
    return group;
  }

  #send(): void {
    const awaiting = this.#awaiting;
    this.#awaiting = [];
    for (const group of awaiting) this.#sendOf(group);
  }

  #sendOf(group: Group): void {
    const { collected } = group;
    group.collected = [];
    group.alike.clear();
    const now = performance.now();
    for (const sending of collected) {
      if (!sending.isWanted) continue;
      const shared = this.#connectionFor(group, now);
      if (shared === undefined) this.#repeat(sending, group);
      else shared.add(sending);
    }
    for (const shared of group.connections) if (shared.flush(WRITER, now)) this.#writes.increment();
    this.#forgetWhereUnused(group);
  }

  /** The one with the least to do; another one, where all have something and there may be more. */
  #connectionFor(group: Group, now: number): SharedConnection | undefined {
    const { backends, connectionsMax } = this.#options;
    let best: SharedConnection | undefined;
    for (const shared of group.connections) {
      if (!shared.isOpen(now) || !backends.isCurrent(shared.connection)) continue;
      if (best === undefined || shared.underWay < best.underWay) best = shared;
    }
    const isFree = best !== undefined && best.underWay === 0;
    if (isFree || group.connections.size >= connectionsMax) return best;
    return this.#lend(group, now) ?? best;
  }

  #lend(group: Group, now: number): SharedConnection | undefined {
    const { backends } = this.#options;
    const { tag, customNames } = group.settings;
    const isReady = (connection: BackendConnection): boolean =>
      connection.sessionTag === tag && isUsableWith(connection, customNames);
    const connection = backends.tryAcquire(group.database, (each) => (isReady(each) ? 2 : 0));
    if (connection === undefined) return undefined;
    if (!isReady(connection)) {
      backends.release(connection);
      return undefined;
    }
    const shared = new SharedConnection(connection, this, now);
    group.connections.add(shared);
    this.#groupOf.set(shared, group);
    this.#watch ??= setInterval(() => this.#look(), SHARED_READ_WATCH_MS).unref();
    return shared;
  }

  #repeat(sending: Sending, group: Group): void {
    const reads = sending.end();
    this.fellBack(group.connections.size === 0 ? "no connection" : "full", reads.length);
    for (const read of reads) read.owner.again();
  }

  #look(): void {
    for (const shared of this.#groupOf.keys()) shared.watch();
    if (this.#groupOf.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  isAwaited(shared: SharedConnection): boolean {
    return (this.#groupOf.get(shared)?.collected.length ?? 0) > 0;
  }

  finished(shared: SharedConnection): void {
    const group = this.#groupOf.get(shared);
    this.#groupOf.delete(shared);
    group?.connections.delete(shared);
    if (group !== undefined) this.#forgetWhereUnused(group);
    this.#options.backends.release(shared.connection);
  }

  observed({ sharing, answerBytes, answeredCount }: Sending, ms: number): void {
    this.#reads.increment(answeredCount);
    this.#slow.observe(sharing, ms, answerBytes, performance.now());
  }

  fellBack(reason: Fallback, count: number): void {
    this.#options.metrics.increment("colonnade_shared_read_fallbacks_total", { reason }, count);
  }

  #forgetWhereUnused(group: Group): void {
    if (group.connections.size > 0 || group.collected.length > 0) return;
    const groups = this.#groups.get(group.database);
    if (groups?.get(group.settings.tag) !== group) return;
    groups.delete(group.settings.tag);
    if (groups.size === 0) this.#groups.delete(group.database);
  }
}
