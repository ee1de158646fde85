/**
 * How urgent a session's statements are where connections are scarce, by who it is, what its
 * application calls itself, or what a statement's comment says:
 *
 *     colonnade:priority=low
 *
 * The comment is the statement's first or last part. It wins over the application's name, and that
 * over the user; but nobody gets above what the configuration gives the user, since the user alone
 * is proven. It is asked only where somebody has to wait, so it may take its time.
 */
import { lowerOf, PRIORITIES } from "../../base/priority.ts";
import type { Priority } from "../../base/priority.ts";
import type { Claim } from "../backend/claim.ts";

export interface PriorityRules {
  readonly users: Readonly<Record<string, Priority>>;
  readonly applications: Readonly<Record<string, Priority>>;
  /** Whether comments of statements are read. */
  readonly comments: boolean;
}

/** What a connection is asked for. */
export interface Claiming {
  readonly sql: string;
  /** The text says nothing of its priority. */
  readonly isUnmarked?: boolean;
}

export const NO_PRIORITIES: PriorityRules = { users: {}, applications: {}, comments: false };

export class Claimant {
  readonly #rules: PriorityRules;
  /** Everybody is as urgent as everybody else. */
  readonly #areNone: boolean;
  readonly #user: string;
  readonly #applicationName: () => string;
  /** What runs now, or ran last; its text is asked for where comments are read alone. */
  statement: Claiming = { sql: "" };
  /** Part of what runs has taken effect already, though no connection is held. */
  isUnderWay = false;

  constructor(rules: PriorityRules, user: string, applicationName: () => string) {
    this.#rules = rules;
    const { users, applications, comments } = rules;
    this.#areNone = !comments && Object.keys({ ...users, ...applications }).length === 0;
    this.#user = user;
    this.#applicationName = applicationName;
  }

  claim(isHolding: boolean): Claim {
    const standing = isHolding || this.isUnderWay ? "holding" : "new";
    return { standing, priority: this.#priority(), user: this.#user };
  }

  #priority(): Priority {
    if (this.#areNone) return "normal";
    const { users, applications, comments } = this.#rules;
    const ofUser = own(users, this.#user);
    const isRead = comments && this.statement.isUnmarked !== true;
    const said = isRead ? priorityInComment(this.statement.sql) : undefined;
    const wanted = said ?? own(applications, this.#applicationName()) ?? ofUser ?? "normal";
    return ofUser === undefined ? wanted : lowerOf(wanted, ofUser);
  }
}

/** Nobody's: of a session that is none. */
export function plainClaimant(): Claimant {
  return new Claimant(NO_PRIORITIES, "", () => "");
}

/** Names are clients' texts: `constructor` is one. */
function own(rules: Readonly<Record<string, Priority>>, name: string): Priority | undefined {
  return Object.hasOwn(rules, name) ? rules[name] : undefined;
}

/** Without it no comment says a priority. */
export const PRIORITY_MARK = "colonnade:priority=";
const WORDS = `${PRIORITY_MARK}(${PRIORITIES.join("|")})`;
const LEADING = new RegExp(String.raw`^\s*/\*\s*${WORDS}\s*\*/`);
const TRAILING = new RegExp(String.raw`/\*\s*${WORDS}\s*\*/[\s;]*$`);
/** Characters of a text's end that are looked at: such a comment, with room for blanks. */
const TAIL_LENGTH = 200;

/** Undefined for a comment that says anything else: a typing error makes nothing urgent. */
export function priorityInComment(sql: string): Priority | undefined {
  const [head, tail] = [sql.slice(0, TAIL_LENGTH), sql.slice(-TAIL_LENGTH)];
  // Nearly every text is without, which is quicker to see than by patterns.
  if (!head.includes(PRIORITY_MARK) && !tail.includes(PRIORITY_MARK)) return undefined;
  const found = LEADING.exec(head) ?? TRAILING.exec(tail);
  return PRIORITIES.find((each) => each === found?.[1]);
}
