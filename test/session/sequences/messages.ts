/**
 * Single messages of the extended protocol, as letters of an alphabet whose words are put to
 * PostgreSQL and to the proxy. It knows no connection.
 *
 * A word is read by one client of several that run at once; each has rows of its own, those
 * whose id leaves its number when divided by ten.
 */
import {
  bind,
  bindWithFormats,
  close,
  describe,
  execute,
  flush,
  parse,
  query,
  sync,
} from "../conversation.ts";
import type { Said, Value } from "../conversation.ts";

/** What a client says to both, or what it has to say to each for the same to happen. */
export interface Message {
  readonly name: string;
  readonly plain: readonly Said[];
  readonly proxied: readonly Said[];
  readonly leaves?: Trace;
}

/** What a message may change: queries that show it, and that undo it, once the word has ended. */
export interface Trace {
  readonly name: "accounts" | "entries" | "late" | "setting";
  readonly said: readonly Said[];
}

/** A statement to prepare, with values for its parameters, and the values that make Bind fail. */
export interface Text {
  readonly sql: string;
  readonly values: readonly Value[];
  readonly unreadable: readonly Value[] | undefined;
  readonly leaves?: Trace;
}

/** Which statement is the unnamed one, and which is named `s`. */
export interface Theme {
  readonly name: string;
  readonly unnamed: Text;
  readonly named: Text;
}

export const same = (name: string, ...said: readonly Said[]): Message => ({
  name,
  plain: said,
  proxied: said,
});

export function tracesFor(lane: number): Readonly<Record<Trace["name"], Trace>> {
  const trace = (name: Trace["name"], ...queries: readonly string[]): Trace => ({
    name,
    said: queries.map((sql) => query(sql)),
  });
  return {
    accounts: trace(
      "accounts",
      `SELECT id, balance FROM accounts WHERE id % 10 = ${lane} ORDER BY id`,
    ),
    entries: trace(
      "entries",
      `SELECT account, n FROM entries WHERE account % 10 = ${lane} ORDER BY account`,
      `DELETE FROM entries WHERE account % 10 = ${lane}`,
    ),
    late: trace(
      "late",
      `SELECT account, n FROM late WHERE account % 10 = ${lane} ORDER BY account`,
      `DELETE FROM late WHERE account % 10 = ${lane}`,
    ),
    setting: trace("setting", "SHOW application_name", "RESET application_name"),
  };
}

/** What the proxy refuses, and PostgreSQL would run: there a column that is missing stands for it. */
const REFUSED = "SELECT a.id FROM accounts a JOIN accounts b ON a.balance = b.balance";
const MISSING = "SELECT refused FROM accounts";
/** Beginnings of both errors, which are compared as one. */
export const REFUSALS: readonly RegExp[] = [
  /^ErrorResponse S=ERROR V=ERROR C=42703 M=column "refused" does not exist.*/,
  /^ErrorResponse S=ERROR V=ERROR C=0A000 .*/,
];
export const refusal = (make: (sql: string) => Said): Pick<Message, "plain" | "proxied"> => ({
  plain: [make(MISSING)],
  proxied: [make(REFUSED)],
});

/** All letters of a theme. */
export function alphabetOf({ unnamed, named }: Theme): readonly Message[] {
  return [...coreOf({ unnamed, named }), ...restOf({ unnamed, named })];
}

/** Those that most conversations consist of. */
export function coreOf({ unnamed, named }: Omit<Theme, "name">): readonly Message[] {
  return [
    same("P", parse("", unnamed.sql)),
    same("Ps", parse("s", named.sql)),
    { ...same("B", bind("", "", unnamed.values)), ...leaving(unnamed) },
    { ...same("Bps", bind("p", "s", named.values)), ...leaving(named) },
    same("D", describe("P", "")),
    same("E", execute()),
    same("E1", execute("", 1)),
    same("Ep", execute("p")),
    same("S", sync()),
  ];
}

function restOf({ unnamed, named }: Omit<Theme, "name">): readonly Message[] {
  return [
    same("P!", parse("", "SELEC 1")),
    same("P?", parse("s", "SELECT nothing FROM accounts")),
    { name: "P~", ...refusal((sql) => parse("", sql)) },
    { ...same("Bs", bind("", "s", named.values)), ...leaving(named) },
    { ...same("Bp", bind("p", "", unnamed.values)), ...leaving(unnamed) },
    same("B#", bind("", "", [...unnamed.values, "1"])),
    same("B%", bindWithFormats([], texts(unnamed.values), [0, 0, 0, 0, 0])),
    ...(unnamed.unreadable === undefined
      ? []
      : [
          same("B!", bind("", "", unnamed.unreadable)),
          same("Bp!", bind("p", "", unnamed.unreadable)),
        ]),
    { ...same("B1", bind("", "", unnamed.values, [1])), ...leaving(unnamed) },
    same("B?", bind("", "none", unnamed.values)),
    same("DS", describe("S", "")),
    same("DSs", describe("S", "s")),
    same("Dp", describe("P", "p")),
    same("D?", describe("S", "none")),
    same("Ep1", execute("p", 1)),
    same("E?", execute("none")),
    same("H", flush()),
    same("C", close("P", "")),
    same("Cp", close("P", "p")),
    same("CS", close("S", "")),
    same("CSs", close("S", "s")),
    same("Q", query("SELECT 1")),
    same("Q!", query("SELECT 1/0")),
  ];
}

function leaving({ leaves }: Text): { readonly leaves?: Trace } {
  return leaves === undefined ? {} : { leaves };
}

function texts(values: readonly Value[]): string[] {
  return values.map((value) => (typeof value === "string" ? value : ""));
}

/** Client `lane` has the accounts `lane`, `100 + lane` and `200 + lane`, one in each placement. */
export function textsFor(lane: number): Readonly<Record<string, Text>> {
  const key = String(lane);
  const { accounts, entries, setting } = tracesFor(lane);
  return {
    "a read of one placement": {
      sql: "SELECT id, balance FROM accounts WHERE id = $1",
      values: [key],
      unreadable: ["x"],
    },
    "a read elsewhere": {
      sql: "SELECT balance, name FROM accounts WHERE id = $1 + 100",
      values: [key],
      unreadable: [Buffer.from("abc")],
    },
    "a scatter": {
      sql: "SELECT id, balance FROM accounts WHERE id % 10 = $1 ORDER BY id",
      values: [key],
      unreadable: [Buffer.from("abc")],
    },
    "a count": {
      sql: "SELECT count(*), sum(balance) FROM accounts WHERE id % 10 = $1",
      values: [key],
      unreadable: ["1e9"],
    },
    "a write": {
      sql: `UPDATE accounts SET balance = balance + $1 WHERE id = ${lane}`,
      values: ["1"],
      unreadable: ["much"],
      leaves: accounts,
    },
    "a write that returns": {
      sql: "UPDATE accounts SET balance = balance + 1 WHERE id = $1 RETURNING id, balance",
      values: [String(100 + lane)],
      unreadable: ["x"],
      leaves: accounts,
    },
    "a write to all": {
      sql: `UPDATE accounts SET balance = balance + $1 WHERE id % 10 = ${lane}`,
      values: ["1"],
      unreadable: ["x"],
      leaves: accounts,
    },
    "an insert into two databases": {
      sql: `INSERT INTO entries (account, n) VALUES ($1, 1), (${100 + lane}, 1)`,
      values: [key],
      unreadable: ["x"],
      leaves: entries,
    },
    "an error in execution": {
      sql: "SELECT 1 / (id - $1) FROM accounts WHERE id = $1",
      values: [key],
      unreadable: ["x"],
    },
    "a constraint's error": {
      sql: `UPDATE accounts SET balance = $1 WHERE id = ${200 + lane}`,
      values: ["-1"],
      unreadable: ["x"],
    },
    "a reference table": {
      sql: `INSERT INTO countries VALUES ('c${lane}', $1) ON CONFLICT (code) DO UPDATE SET name = excluded.name`,
      values: ["name"],
      unreadable: undefined,
    },
    "no table": { sql: "SELECT $1::int + 1 AS sum", values: ["5"], unreadable: ["x"] },
    SET: {
      sql: "SET application_name = 'word'",
      values: [],
      unreadable: undefined,
      leaves: setting,
    },
    SHOW: { sql: "SHOW application_name", values: [], unreadable: undefined },
    BEGIN: { sql: "BEGIN", values: [], unreadable: undefined },
    COMMIT: { sql: "COMMIT", values: [], unreadable: undefined },
    ROLLBACK: { sql: "ROLLBACK", values: [], unreadable: undefined },
    SAVEPOINT: { sql: "SAVEPOINT s", values: [], unreadable: undefined },
    "ROLLBACK TO": { sql: "ROLLBACK TO s", values: [], unreadable: undefined },
    nothing: { sql: " -- nothing", values: [], unreadable: undefined },
  };
}

/** The unnamed statement's text first. */
export const THEMES: readonly (readonly [unnamed: string, named: string])[] = [
  ["a read of one placement", "a scatter"],
  ["a scatter", "a write"],
  ["a write", "a read elsewhere"],
  ["a write that returns", "an error in execution"],
  ["a write to all", "a read of one placement"],
  ["an insert into two databases", "a write that returns"],
  ["a count", "BEGIN"],
  ["BEGIN", "a write to all"],
  ["COMMIT", "a write"],
  ["ROLLBACK", "an insert into two databases"],
  ["SAVEPOINT", "ROLLBACK TO"],
  ["SET", "SHOW"],
  ["a constraint's error", "a scatter"],
  ["a reference table", "a count"],
  ["no table", "nothing"],
];

export function themeOf([unnamed, named]: readonly [string, string], lane: number): Theme {
  const all = textsFor(lane);
  const [first, second] = [all[unnamed], all[named]];
  if (first === undefined || second === undefined) throw new Error(`no text ${unnamed}, ${named}`);
  return { name: `${unnamed} / ${named}`, unnamed: first, named: second };
}
