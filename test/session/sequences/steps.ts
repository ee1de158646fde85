/**
 * Whole statements, as an application's pipeline strings them together: what is one transaction,
 * and what an error in the middle undoes, shows in the rows that they leave behind.
 */
import { bind, close, execute, parse, query, run, sync } from "../conversation.ts";
import type { Said } from "../conversation.ts";
import { refusal, same, tracesFor } from "./messages.ts";
import type { Message } from "./messages.ts";

export function stepsFor(lane: number): readonly Message[] {
  const [east, west, far] = [lane, 100 + lane, 200 + lane];
  const add = (id: number): string => `UPDATE accounts SET balance = balance + 1 WHERE id = ${id}`;
  const own = `id % 10 = ${lane}`;
  const traces = tracesFor(lane);
  const left = (sql: string): Pick<Message, "leaves"> => {
    const table = /(?:UPDATE|INTO) (accounts|entries|late)/.exec(sql)?.[1];
    return table === undefined ? {} : { leaves: traces[table as keyof typeof traces] };
  };
  const piped = (sql: string, ...values: readonly string[]): Message => ({
    ...same(sql, ...run(sql, ...values)),
    ...left(sql),
  });
  const simple = (sql: string): Message => ({ ...same(`Q(${sql})`, query(sql)), ...left(sql) });
  const set = (sql: string): Message => ({ ...same(sql, ...quiet(sql)), leaves: traces.setting });
  return [
    same("Sync", sync()),
    piped(add(east)),
    piped(add(west)),
    piped(`UPDATE accounts SET balance = balance + $1 WHERE ${own}`, "1"),
    piped(`UPDATE accounts SET balance = balance + 1 WHERE id = ${far} RETURNING balance`),
    piped(`INSERT INTO entries (account, n) VALUES (${east}, 1), (${west}, 1), (${far}, 1)`),
    piped(`INSERT INTO late VALUES (${west}, 1)`),
    piped(`SELECT balance FROM accounts WHERE id = $1`, String(far)),
    piped(`SELECT id, balance FROM accounts WHERE ${own} ORDER BY balance, id`),
    same(
      "two rows of three",
      parse("", `SELECT id FROM accounts WHERE ${own} ORDER BY id`),
      bind("", ""),
      execute("", 2),
    ),
    same(
      "one row of a named portal",
      parse("", `SELECT id FROM accounts WHERE ${own} ORDER BY id DESC`),
      bind("q", ""),
      execute("q", 1),
    ),
    same("one more", execute("q", 1)),
    same("the rest", execute("q")),
    same("its end", close("P", "q")),
    same(
      "DECLARE",
      ...quiet(`DECLARE c CURSOR FOR SELECT id FROM accounts WHERE ${own} ORDER BY id`),
    ),
    piped("FETCH 2 FROM c"),
    same("MOVE", ...quiet("MOVE c")),
    same("CLOSE c", ...quiet("CLOSE c")),
    same("BEGIN", ...quiet("BEGIN")),
    same("SET TRANSACTION READ ONLY", ...quiet("SET TRANSACTION READ ONLY")),
    same("SET CONSTRAINTS", ...quiet("SET CONSTRAINTS ALL IMMEDIATE")),
    same("DISCARD ALL", ...quiet("DISCARD ALL")),
    same("DEALLOCATE ALL", ...quiet("DEALLOCATE ALL")),
    same("PREPARE", ...quiet("PREPARE made AS SELECT 1")),
    simple("EXECUTE made"),
    same("BEGIN READ ONLY", ...quiet("BEGIN READ ONLY")),
    same("COMMIT", ...quiet("COMMIT")),
    same("ROLLBACK", ...quiet("ROLLBACK")),
    same("COMMIT AND CHAIN", ...quiet("COMMIT AND CHAIN")),
    same("SAVEPOINT a", ...quiet("SAVEPOINT a")),
    same("ROLLBACK TO a", ...quiet("ROLLBACK TO a")),
    same("RELEASE a", ...quiet("RELEASE a")),
    set("SET LOCAL application_name = 'local'"),
    set("SET application_name = 'set'"),
    piped("SHOW application_name"),
    piped(`UPDATE accounts SET balance = -1 WHERE id = ${west}`),
    piped("SELECT 1 / (balance - balance) FROM accounts"),
    same("bad SQL", parse("", "SELEC")),
    same("bad value", parse("", add(east).replace("+ 1", "+ $1")), bind("", "", ["x"]), execute()),
    {
      name: "refused",
      ...refusal((sql) => parse("", sql)),
    },
    simple(add(east)),
    simple(`${add(east)}; ${add(west)}`),
    simple(`${add(west)}; SELECT 1/0; ${add(east)}`),
    simple(`BEGIN; ${add(east)}; COMMIT; ${add(west)}; SELECT 1/0`),
    simple(`${add(far)}; BEGIN; ${add(west)}`),
    simple(`${add(far)}; COMMIT; ${add(west)}; ROLLBACK; ${add(east)}`),
    simple("BEGIN"),
    simple("COMMIT"),
    simple("ROLLBACK"),
    simple(`SELECT sum(balance) FROM accounts WHERE ${own}`),
    simple(""),
  ];
}

/** Without Describe, as drivers send what they know to return no rows. */
function quiet(sql: string): readonly Said[] {
  return [parse("", sql), bind("", ""), execute()];
}

/** The word's end, whatever state it left; the last answer is the sign that all is said. */
export const ENDING: readonly Said[] = [
  sync(),
  query("ROLLBACK"),
  query("DEALLOCATE ALL"),
  query("DISCARD PLANS"),
];
export const END_OF_WORD = "CommandComplete DISCARD PLANS";

/** In what a word is said. */
export const BEGINNINGS = {
  "outside of a transaction": [],
  "in a transaction": [query("BEGIN")],
  "in a failed transaction": [query("BEGIN"), query("SELECT 1/0")],
} as const satisfies Readonly<Record<string, readonly Said[]>>;
export type Beginning = keyof typeof BEGINNINGS;
