/** A connection to a database is lost: rows of docs/failures.md, each with the play that shows it. */
import { frame } from "../support/raw-frames.ts";
import type { LossGroup, Play } from "./loss-case.ts";
import {
  OLD,
  NEW,
  ONLY_B,
  tell,
  told,
  terminate,
  cutAt,
  startCopy,
  UPDATE_B,
  WRITTEN_TO_B,
  WRITTEN_TO_ALL,
  UPDATE_A,
  loseB,
  READY,
} from "./play-steps.ts";
import { KEYS } from "./three-databases.ts";

async function lostBefore(play: Play, sql: string): Promise<string> {
  const { client } = play;
  await client.query("BEGIN; SAVEPOINT s");
  await client.query(UPDATE_B);
  await loseB(play);
  const first = await tell(client, sql);
  const next = await tell(client, UPDATE_A);
  await client.query("ROLLBACK");
  return `${first}, then ${next} until ROLLBACK`;
}

export const BACKEND_LOST: LossGroup = {
  lost: "A connection to a database",
  cases: [
    {
      when: "while it reads, outside a transaction block",
      told: "57P01",
      outcome: "the session goes on",
      notes: OLD,
      play: cutAt("second", "answer", [], "SELECT note FROM items ORDER BY id", ["note", "items"]),
    },
    {
      when: "before it has a single statement that writes to one database",
      told: "08007",
      outcome: "rolled back",
      notes: OLD,
      play: cutAt("second", "request", [], UPDATE_B, ["UPDATE"]),
    },
    {
      when: "after it has committed a single statement that writes to one database",
      told: "08007",
      outcome: "committed",
      notes: ONLY_B,
      play: cutAt("second", "answer", [], UPDATE_B, ["UPDATE"]),
    },
    {
      when: "during a single statement that writes to several",
      told: "57P01",
      outcome: "rolled back in all",
      notes: OLD,
      play: cutAt("second", "answer", [], "UPDATE items SET note = 'new'", ["UPDATE"]),
    },
    {
      when: "during a statement in a transaction block",
      told: "57P01, then 25P02 until ROLLBACK",
      outcome: "rolled back in all",
      notes: OLD,
      play: async (play) => {
        const first = await cutAt(
          "second",
          "answer",
          ["BEGIN", `UPDATE items SET note = 'new' WHERE id = ${KEYS.a}`],
          UPDATE_B,
          ["UPDATE"],
        )(play);
        const next = await tell(play.client, "SELECT 1");
        await play.client.query("ROLLBACK");
        return `${first}, then ${next} until ROLLBACK`;
      },
    },
    {
      when: "between two statements of a transaction block",
      told: "57P01",
      outcome: "rolled back in all",
      notes: OLD,
      play: async (play) => {
        for (const sql of WRITTEN_TO_ALL) await play.client.query(sql);
        await terminate(play, "b");
        const answer = await tell(play.client, UPDATE_B);
        await play.client.query("ROLLBACK");
        return answer;
      },
    },
    {
      when: "between two statements of a transaction block, the second for another database",
      told: "57P01, then 25P02 until ROLLBACK",
      outcome: "rolled back in all",
      notes: OLD,
      play: (play) => lostBefore(play, UPDATE_A),
    },
    {
      when: "between a statement of a transaction block and ROLLBACK TO SAVEPOINT",
      told: "57P01, then 25P02 until ROLLBACK",
      outcome: "rolled back in all",
      notes: OLD,
      play: (play) => lostBefore(play, "ROLLBACK TO SAVEPOINT s"),
    },
    {
      when: "between the last statement of a transaction block and COMMIT",
      told: "57P01",
      outcome: "rolled back in all",
      notes: OLD,
      play: async (play) => {
        const answers: string[] = [];
        for (const before of [WRITTEN_TO_B, WRITTEN_TO_ALL]) {
          for (const sql of before) await play.client.query(sql);
          await loseB(play);
          answers.push(await tell(play.client, "COMMIT"));
        }
        return [...new Set(answers)].join(", then ");
      },
    },
    {
      when: "during COPY FROM STDIN",
      told: "57P01",
      outcome: "no row of it is there, in any database",
      notes: OLD,
      play: async (play) => {
        await startCopy(play);
        await terminate(play, "c");
        return await told(play.client, frame("c"));
      },
    },
    {
      when: "at COMMIT of one database, before it has it",
      told: "08007",
      outcome: "rolled back",
      notes: OLD,
      play: cutAt("second", "request", WRITTEN_TO_B, "COMMIT", ["COMMIT"]),
    },
    {
      when: "at COMMIT of one database, after it has committed",
      told: "08007",
      outcome: "committed",
      notes: ONLY_B,
      play: cutAt("second", "answer", WRITTEN_TO_B, "COMMIT", ["COMMIT"]),
    },
    {
      when: "at COMMIT of several, before one of them is prepared",
      told: "57P01",
      outcome: "rolled back in all",
      notes: OLD,
      play: cutAt("second", "request", [...READY, ...WRITTEN_TO_ALL], "COMMIT", [
        "PREPARE TRANSACTION",
        ":c'",
      ]),
    },
    {
      when: "at COMMIT of several, after one of them is prepared",
      told: "57P01",
      outcome: "rolled back in all, that one within 5 s",
      notes: OLD,
      play: cutAt("second", "answer", [...READY, ...WRITTEN_TO_ALL], "COMMIT", [
        "PREPARE TRANSACTION",
        ":c'",
      ]),
    },
    {
      when: "at COMMIT of several, before the coordinator has the commit record",
      told: "08007",
      outcome: "rolled back in all, within 5 s",
      notes: OLD,
      play: cutAt("first", "request", [...READY, ...WRITTEN_TO_ALL], "COMMIT", [
        "INSERT INTO colonnade.commit_record",
      ]),
    },
    {
      when: "at COMMIT of several, after the coordinator has committed",
      told: "08007",
      outcome: "committed in all, within 5 s",
      notes: NEW,
      play: cutAt("first", "answer", [...READY, ...WRITTEN_TO_ALL], "COMMIT", [
        "INSERT INTO colonnade.commit_record",
      ]),
    },
    {
      when: "at COMMIT of several, before COMMIT PREPARED",
      told: "COMMIT",
      outcome:
        "committed in all; the proxy lends no connection to that database before it is done there",
      notes: NEW,
      play: async (play) => {
        const answer = await cutAt("second", "request", [...READY, ...WRITTEN_TO_ALL], "COMMIT", [
          "COMMIT PREPARED",
          ":c'",
        ])(play);
        // At once, and it reads what was committed.
        const [row] = await play.client.query(`SELECT note FROM items WHERE id = ${KEYS.c}`);
        return row?.[0] === "new" ? answer : `${answer}, and then reads ${row?.[0]}`;
      },
    },
  ],
};
