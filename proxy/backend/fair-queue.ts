/**
 * Those who wait for the same, of several users: users take turns, and of one user's the first
 * who came is first. So a user waits for one service of each other user at most, however many
 * of theirs wait. It knows nothing of what they wait for.
 */
import { QUEUE_USERS_LOOKED_AT } from "../../base/limits.ts";

export interface Queued {
  readonly user: string;
}

export class FairQueue<Member extends Queued> {
  /** In order of their turns; each Set in order of arrival, and none is empty. */
  readonly #users = new Map<string, Set<Member>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(member: Member): void {
    const own = this.#users.get(member.user);
    if (own === undefined) this.#users.set(member.user, new Set([member]));
    else own.add(member);
    this.#size += 1;
  }

  delete(member: Member): boolean {
    const own = this.#users.get(member.user);
    if (own?.delete(member) !== true) return false;
    if (own.size === 0) this.#users.delete(member.user);
    this.#size -= 1;
    return true;
  }

  /** Takes out the one whose turn it is; its user's next comes after everybody else's. */
  shift(): Member | undefined {
    for (const [user, own] of this.#users) {
      for (const member of own) {
        this.delete(member);
        if (own.size > 0) {
          this.#users.delete(user);
          this.#users.set(user, own);
        }
        return member;
      }
    }
    return undefined;
  }

  /** How many are served before one who comes now, as far as that is known: users may come and go. */
  ahead(user: string): number {
    const own = this.#users.get(user)?.size ?? 0;
    return Math.min(this.#size, (own + 1) * this.#users.size);
  }

  count(user: string): number {
    return this.#users.get(user)?.size ?? 0;
  }

  /** The last who came of the user who has most waiting, of those whose turns are next. */
  lastOfMost(): Member | undefined {
    let most: Set<Member> | undefined;
    let looked = 0;
    for (const own of this.#users.values()) {
      if (own.size > (most?.size ?? 0)) most = own;
      looked += 1;
      if (looked === QUEUE_USERS_LOOKED_AT) break;
    }
    let last: Member | undefined;
    for (const member of most ?? []) last = member;
    return last;
  }

  /** Of every user the first. */
  firsts(): readonly Member[] {
    return [...this.#users.values()].flatMap((own) => [...own].slice(0, 1));
  }

  *[Symbol.iterator](): Iterator<Member> {
    for (const own of this.#users.values()) yield* own;
  }
}
