/** Users take turns, and each of theirs is served in order, whoever leaves in between. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { FairQueue, type Queued } from "../../proxy/backend/fair-queue.ts";

class Member implements Queued<Member> {
  readonly user: string;
  readonly name: string;
  before: Member | undefined;
  after: Member | undefined;

  constructor(user: string, name: string) {
    this.user = user;
    this.name = name;
  }
}

/** What the queue is, without its links. */
class Model {
  readonly #lines: { readonly user: string; members: Member[] }[] = [];

  add(member: Member): void {
    const line = this.#lines.find(({ user }) => user === member.user);
    if (line === undefined) this.#lines.push({ user: member.user, members: [member] });
    else line.members.push(member);
  }

  delete(member: Member): void {
    const at = this.#lines.findIndex(({ user }) => user === member.user);
    const line = this.#lines[at];
    if (line === undefined) return;
    line.members = line.members.filter((each) => each !== member);
    if (line.members.length === 0) this.#lines.splice(at, 1);
  }

  shift(): Member | undefined {
    const [line] = this.#lines;
    const first = line?.members.shift();
    this.#lines.shift();
    if (line !== undefined && line.members.length > 0) this.#lines.push(line);
    return first;
  }

  get all(): readonly Member[] {
    return this.#lines.flatMap(({ members }) => members);
  }

  get firsts(): readonly Member[] {
    return this.#lines.flatMap(({ members }) => members.slice(0, 1));
  }
}

const USERS = ["ann", "bob", "cid"];
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ add: fc.constantFrom(...USERS) }) },
  { weight: 2, arbitrary: fc.record({ leave: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.constant("shift" as const) },
);

test("as a list of lists", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new FairQueue<Member>();
      const model = new Model();
      for (const [index, each] of steps.entries()) {
        const shifted = each === "shift" ? [queue.shift(), model.shift()] : [];
        expect(shifted[0]).toBe(shifted[1]);
        if (each === "shift") continue;
        if ("add" in each) {
          const member = new Member(each.add, String(index));
          queue.add(member);
          model.add(member);
        } else {
          const member = model.all[each.leave];
          if (member === undefined) continue;
          queue.delete(member);
          model.delete(member);
        }
        expect([...queue]).toEqual(model.all);
        expect(queue.size).toBe(model.all.length);
        expect(queue.firsts()).toEqual(model.firsts);
        for (const user of USERS)
          expect(queue.count(user)).toBe(model.all.filter((one) => one.user === user).length);
      }
    }),
    { numRuns: 500 },
  );
});

test("who is asked for may leave while all are gone through", () => {
  const queue = new FairQueue<Member>();
  const members = USERS.flatMap((user) => [new Member(user, "1"), new Member(user, "2")]);
  for (const member of members) queue.add(member);
  const seen: Member[] = [];
  for (const member of queue) {
    seen.push(member);
    queue.delete(member);
  }
  expect(seen).toEqual(members);
  expect(queue.size).toBe(0);
});
