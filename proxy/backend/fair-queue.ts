/**
 * Those who wait for the same, of several users: users take turns, and of one user's the first
 * who came is first. So a user waits for one service of each other user at most, however many
 * of theirs wait. It knows nothing of what they wait for.
 *
 * Under load every statement comes and goes here, so those who wait are linked with each other, and
 * nothing is made for them.
 */
import { QUEUE_USERS_LOOKED_AT } from "../../base/limits.ts";

/** One who waits, in one queue at a time, which alone writes the links. */
export interface Queued<Member> {
  readonly user: string;
  before: Member | undefined;
  after: Member | undefined;
}

/** Of one user, and never empty. */
interface Line<Member> {
  first: Member;
  last: Member;
  size: number;
}

export class FairQueue<Member extends Queued<Member>> {
  /** In order of their turns. */
  readonly #lines = new Map<string, Line<Member>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(member: Member): void {
    this.#size += 1;
    const line = this.#lines.get(member.user);
    if (line === undefined) {
      this.#lines.set(member.user, { first: member, last: member, size: 1 });
      return;
    }
    member.before = line.last;
    line.last.after = member;
    line.last = member;
    line.size += 1;
  }

  /** One who waits here. */
  delete(member: Member): void {
    const line = this.#lines.get(member.user);
    if (line === undefined) return;
    const { before, after } = member;
    member.before = member.after = undefined;
    this.#size -= 1;
    line.size -= 1;
    if (before !== undefined) before.after = after;
    else if (after !== undefined) line.first = after;
    if (after !== undefined) after.before = before;
    else if (before !== undefined) line.last = before;
    if (line.size === 0) this.#lines.delete(member.user);
  }

  /** Takes out the one whose turn it is; its user's next comes after everybody else's. */
  shift(): Member | undefined {
    for (const [user, line] of this.#lines) {
      const { first } = line;
      this.delete(first);
      if (line.size > 0 && this.#lines.size > 1) {
        this.#lines.delete(user);
        this.#lines.set(user, line);
      }
      return first;
    }
    return undefined;
  }

  /** How many are served before one who comes now, as far as that is known: users may come and go. */
  ahead(user: string): number {
    return Math.min(this.#size, (this.count(user) + 1) * this.#lines.size);
  }

  count(user: string): number {
    return this.#lines.get(user)?.size ?? 0;
  }

  /** The last who came of the user who has most waiting, of those whose turns are next. */
  lastOfMost(): Member | undefined {
    let most: Line<Member> | undefined;
    let looked = 0;
    for (const line of this.#lines.values()) {
      if (line.size > (most?.size ?? 0)) most = line;
      looked += 1;
      if (looked === QUEUE_USERS_LOOKED_AT) break;
    }
    return most?.last;
  }

  /** Of every user the first. */
  firsts(): readonly Member[] {
    return [...this.#lines.values()].map(({ first }) => first);
  }

  /** Whoever is given may leave; nobody comes meanwhile. */
  *[Symbol.iterator](): Iterator<Member> {
    for (const line of this.#lines.values())
      for (let each: Member | undefined = line.first; each !== undefined;) {
        const { after }: Member = each;
        yield each;
        each = after;
      }
  }
}
