/** The open connections of a pool, by what each is used for. It opens and closes none. */
import type { BackendConnection } from "./backend-connection.ts";
import { addCounts, NO_COUNTS } from "./connection-counts.ts";
import type { ConnectionCounts } from "./connection-counts.ts";
import { bringForward } from "./pool-member.ts";
import type { Member, Rank } from "./pool-member.ts";

export class PoolMembers {
  readonly #all = new Map<BackendConnection, Member>();
  /** The last one came back last: it is lent first, so that the surplus grows old and is closed. */
  readonly #idle: Member[] = [];
  #lentCount = 0;
  #checkingCount = 0;
  /** Of the connections that are no more. */
  #pastCounts = NO_COUNTS;

  get size(): number {
    return this.#all.size;
  }

  get lentCount(): number {
    return this.#lentCount;
  }

  /** Those that are lent, asked, or being given up. */
  get busyCount(): number {
    return this.#all.size - this.#idle.length;
  }

  /** False where as many as `max` are pinned already. */
  pin(connection: BackendConnection, max: number): boolean {
    const member = this.of(connection);
    if (member === undefined || this.pinnedCount >= max) return false;
    member.isPinned = true;
    return true;
  }

  unpin(connection: BackendConnection): void {
    const member = this.of(connection);
    if (member !== undefined) member.isPinned = false;
  }

  get pinnedCount(): number {
    return this.all().filter(({ isPinned }) => isPinned).length;
  }

  get checkingCount(): number {
    return this.#checkingCount;
  }

  get counts(): ConnectionCounts {
    return this.all().reduce(
      (sum, { connection }) => addCounts(sum, connection.counts),
      this.#pastCounts,
    );
  }

  all(): readonly Member[] {
    return [...this.#all.values()];
  }

  of(connection: BackendConnection): Member | undefined {
    return this.#all.get(connection);
  }

  add(member: Member): void {
    this.#all.set(member.connection, member);
    this.#count(member.use, 1);
  }

  /** False where it was not among them any more. */
  delete(member: Member): boolean {
    if (!this.#all.delete(member.connection)) return false;
    this.#count(member.use, -1);
    this.#pastCounts = addCounts(this.#pastCounts, member.connection.counts);
    return true;
  }

  setUse(member: Member, use: Member["use"]): void {
    this.#count(member.use, -1);
    this.#count(use, 1);
    if (use === "idle") this.#idle.push(member);
    member.use = use;
  }

  /** Kept as it changes: it is asked for at each release. */
  #count(use: Member["use"], by: 1 | -1): void {
    if (use === "lent") this.#lentCount += by;
    else if (use === "checking") this.#checkingCount += by;
  }

  /** The idle one that is lent next. */
  get lastIdle(): Member | undefined {
    return this.#idle.at(-1);
  }

  takeLastIdle(): Member | undefined {
    return this.#idle.pop();
  }

  /** Takes them out of what is lent. */
  takeIdle(is: (member: Member) => boolean = () => true): readonly Member[] {
    const all = this.#idle.splice(0);
    this.#idle.push(...all.filter((member) => !is(member)));
    return all.filter(is);
  }

  /** Makes the idle one that suits best the next. */
  prefer(rank: Rank): void {
    bringForward(this.#idle, rank);
  }
}
