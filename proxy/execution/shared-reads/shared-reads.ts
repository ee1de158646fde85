/**
 * Reads of many clients over few backends. Those that arrive in one turn of the event loop are
 * collected, and sent in its check phase, after every socket that was readable has had its say: one
 * write for each connection.
 *
 * Connections are lent by the pool for as long as anything is under way on them. A group shares
 * them: one database, and sessions of the same settings and the same role (equal tags). A group that
 * has none waits for its first one in the pool's queue, as one.
 */
import type { DatabaseName } from "../../../base/ids.ts";
import {
  SHARED_READ_SLOW_MS,
  SHARED_READ_WATCH_MS,
  SHARED_READS_APART_MS,
  SHARED_READS_UNDER_WAY_MAX,
} from "../../../base/limits.ts";
import type { Metrics } from "../../../base/metrics.ts";
import type { Tally } from "../../../base/tallies.ts";
import type { Priority } from "../../../base/priority.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { Sharing } from "../../../planner/logical-plan.ts";
import type { BackendConnection } from "../../backend/backend-connection.ts";
import type { Rank } from "../../backend/pool-member.ts";
import { FrameWriter } from "../../protocol/frame-writer.ts";
import { isUsableWith } from "../custom-settings.ts";
import type { PreparedText } from "../prepared-texts.ts";
import type { SettingsScript } from "../session-settings.ts";
import { acquireWith } from "./acquire-with.ts";
import type { LendingBackends } from "./acquire-with.ts";
import { SharedConnection } from "./shared-connection.ts";
import type { SharedConnectionHost } from "./shared-connection.ts";
import { Sending, SharedRead } from "./shared-read.ts";
import type { Fallback, ReadOwner } from "./shared-read.ts";
import { SlowStatements } from "./slow-statements.ts";

/** The pools, as far as shared reads need them. */
export interface SharedBackends extends LendingBackends {
  tryAcquire(database: DatabaseName, rank: Rank): BackendConnection | undefined;
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
  /** To be sent with the end of this turn, or with the connection that is waited for. */
  collected: Sending[];
  isAcquiring: boolean;
  /** Those of them that others may join. */
  readonly alike: Map<string, Sending>;
}

/** Of who waits with the others for a group's connection. */
const ORDINARY: Priority = "normal";

/** Filled and taken within one call, so one serves all. */
const WRITER = new FrameWriter();

export class SharedReads implements SharedConnectionHost {
  readonly #options: SharedReadsOptions;
  readonly #groups = new Map<DatabaseName, Map<string, Group>>();
  readonly #groupOf = new Map<SharedConnection, Group>();
  /** Groups that have collected something. */
  #awaiting: Group[] = [];
  readonly #slow = new SlowStatements(SHARED_READ_SLOW_MS);
  /** Of databases that lately had no connection for a group. */
  readonly #apartUntil = new Map<DatabaseName, number>();
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
    const now = performance.now();
    if (now < (this.#apartUntil.get(request.database) ?? 0)) {
      this.fellBack("no connection", 1);
      return undefined;
    }
    if (this.#slow.isSlow(request.sharing, now)) {
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
    if (alike?.isWanted === true && alike.carrier === undefined) {
      this.#coalesced.increment();
      return alike;
    }
    const sending = new Sending(sharing, prepared);
    if (likeness !== undefined) group.alike.set(likeness, sending);
    if (group.collected.push(sending) === 1 && this.#awaiting.push(group) === 1)
      setImmediate(this.#sendAll);
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
      isAcquiring: false,
      alike: new Map(),
    };
    groups.set(settings.tag, group);
    this.#groups.set(database, groups);
    return group;
  }

  readonly #sendAll = (): void => {
    const awaiting = this.#awaiting;
    this.#awaiting = [];
    for (const group of awaiting) this.#sendOf(group);
  };

  #sendOf(group: Group): void {
    if (group.isAcquiring) return;
    const { collected } = group;
    group.collected = [];
    group.alike.clear();
    const now = performance.now();
    const left: Sending[] = [];
    for (const sending of collected) {
      if (!sending.isWanted) continue;
      const shared = this.#connectionFor(group, now);
      if (shared === undefined) left.push(sending);
      else shared.add(sending);
    }
    for (const shared of group.connections) if (shared.flush(WRITER, now)) this.#writes.increment();
    if (left.length > 0) this.#leaveOver(group, left, now);
    this.#forgetWhereUnused(group);
  }

  /** What found no connection: where there is none that takes more, the group waits for one. */
  #leaveOver(group: Group, left: readonly Sending[], now: number): void {
    if ([...group.connections].some((shared) => this.#isOpen(shared, now)))
      this.#repeat(left, "full");
    else {
      const isOrdinary = ({ members: [first] }: Sending): boolean =>
        first?.owner.claim().priority === ORDINARY;
      // Whose priority is another waits by itself.
      this.#repeat(
        left.filter((sending) => !isOrdinary(sending)),
        "no connection",
      );
      const waiting = left.filter(({ isWanted }) => isWanted);
      if (waiting.length > 0) this.#acquire(group, waiting);
    }
  }

  /** In the pool's queue all of them are one, and so they are served as one. */
  #acquire(group: Group, waiting: Sending[]): void {
    const claim = waiting[0]?.members[0]?.owner.claim();
    group.collected = waiting;
    group.isAcquiring = true;
    void acquireWith(this.#options.backends, group.database, group.settings, claim).then(
      (connection) => {
        group.isAcquiring = false;
        this.#apartUntil.delete(group.database);
        this.#share(group, connection, performance.now());
        this.#sendOf(group);
      },
      // Each is told by the pool, or by its server, what keeps it from being asked.
      (error: unknown) => {
        group.isAcquiring = false;
        if (isOfPool(error))
          this.#apartUntil.set(group.database, performance.now() + SHARED_READS_APART_MS);
        const { collected } = group;
        group.collected = [];
        this.#repeat(collected, "no connection");
        this.#forgetWhereUnused(group);
      },
    );
  }

  /** The one with the least to do; another one, where all have something and there may be more. */
  #connectionFor(group: Group, now: number): SharedConnection | undefined {
    const { connectionsMax } = this.#options;
    let best: SharedConnection | undefined;
    for (const shared of group.connections) {
      if (!this.#isOpen(shared, now)) continue;
      if (best === undefined || shared.underWay < best.underWay) best = shared;
    }
    const isFree = best !== undefined && best.underWay === 0;
    if (isFree || group.connections.size >= connectionsMax) return best;
    return this.#lend(group, now) ?? best;
  }

  #isOpen(shared: SharedConnection, now: number): boolean {
    return shared.isOpen(now) && this.#options.backends.isCurrent(shared.connection);
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
    return this.#share(group, connection, now);
  }

  #share(group: Group, connection: BackendConnection, now: number): SharedConnection {
    const shared = new SharedConnection(connection, this, now);
    group.connections.add(shared);
    this.#groupOf.set(shared, group);
    this.#watch ??= setInterval(() => this.#look(), SHARED_READ_WATCH_MS).unref();
    return shared;
  }

  #repeat(sendings: readonly Sending[], reason: Fallback): void {
    const reads = sendings.flatMap((sending) => sending.end());
    if (reads.length > 0) this.fellBack(reason, reads.length);
    for (const read of reads) read.owner.again();
  }

  #look(): void {
    for (const shared of this.#groupOf.keys()) shared.watch();
    if (this.#groupOf.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  isAwaited(shared: SharedConnection): boolean {
    const group = this.#groupOf.get(shared);
    return group !== undefined && group.collected.length > 0 && !group.isAcquiring;
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
    if (group.connections.size > 0 || group.collected.length > 0 || group.isAcquiring) return;
    const groups = this.#groups.get(group.database);
    if (groups?.get(group.settings.tag) !== group) return;
    groups.delete(group.settings.tag);
    if (groups.size === 0) this.#groups.delete(group.database);
  }
}

/** Not of the settings that one group has. */
function isOfPool(error: unknown): boolean {
  return error instanceof SqlError && error.id !== "role_not_in_database";
}
