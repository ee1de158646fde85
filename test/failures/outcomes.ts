/**
 * What is lost, when, what the client is told and what then holds: the rows of docs/failures.md,
 * each with the play that shows it (outcomes.postgres.test.ts runs them).
 *
 * The proxy's connections go through gates, so that one is cut at exactly the moment that a row names.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { frame, queryFrame, readFields } from "../support/raw-frames.ts";
import type { LossGroup, Play } from "./loss-case.ts";
import { KEYS } from "./three-databases.ts";

const OLD = ["old", "old", "old"];
const NEW = ["new", "new", "new"];
const ONLY_B = ["old", "new", "old"];

const tell = (client: RawClient, sql: string): Promise<string> => told(client, queryFrame(sql));

/** The SQLSTATE, or the tag of the last command. */
async function told(client: RawClient, bytes: Buffer): Promise<string> {
  try {
    const { messages } = await client.exchange(bytes);
    const failed = messages.find(({ type }) => type === "E");
    if (failed !== undefined) return readFields(failed.body)["C"] ?? "?";
    const tag = messages.findLast(({ type }) => type === "C");
    return tag === undefined ? "" : tag.body.toString("utf8", 0, tag.body.length - 1);
  } catch (error) {
    if (error instanceof ServerError) return error.fields["C"] ?? "?";
    return "the connection ends";
  }
}

/** As an administrator does, or a server that is shut down. */
async function terminate({ databases }: Play, name: "b" | "c"): Promise<void> {
  await databases.second.query(
    "postgres",
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`,
  );
}

const cutAt =
  (
    gate: "first" | "second",
    at: "request" | "answer",
    before: readonly string[],
    sql: string,
    words: readonly string[],
  ) =>
  async ({ databases, client }: Play): Promise<string> => {
    for (const statement of before) await client.query(statement);
    const held = databases.gates[gate].stop(at, ...words);
    const answer = tell(client, sql);
    await held.reached;
    held.cut();
    return await answer;
  };

/** 3,000 rows of COPY for all databases: more than the proxy keeps before it sends them on. */
const COPY_DATA = frame(
  "d",
  Buffer.from(
    Array.from({ length: 3_000 }, (_, key) => key)
      .filter((key) => !Object.values<number>(KEYS).includes(key))
      .map((key) => `${key}\t${"copied ".repeat(1_000)}\n`)
      .join(""),
  ),
);

async function startCopy({ client }: Play): Promise<void> {
  client.write(queryFrame("COPY items FROM STDIN"));
  client.write(COPY_DATA);
  await sleep(300);
}

const UPDATE_B = `UPDATE items SET note = 'new' WHERE id = ${KEYS.b}`;
const WRITTEN_TO_B = ["BEGIN", UPDATE_B];
const WRITTEN_TO_ALL = ["BEGIN", "UPDATE items SET note = 'new'"];
const UPDATE_A = `UPDATE items SET note = 'new' WHERE id = ${KEYS.a}`;

/** Until the proxy, too, has been told of it. */
async function loseB(play: Play): Promise<void> {
  await terminate(play, "b");
  await sleep(100);
}

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

/** The table of commit records is made before the first one is needed. */
const READY = ["UPDATE items SET note = 'older'", "UPDATE items SET note = 'old'"];

const BACKEND_LOST: LossGroup = {
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

/** Nobody is there to be told. */
async function vanish({ client }: Play): Promise<string> {
  client.destroy();
  await sleep(100);
  return "nothing";
}

const CLIENT_LOST: LossGroup = {
  lost: "The client",
  cases: [
    {
      when: "during a statement",
      told: "nothing",
      outcome: "the statement is cancelled in every database, and rolled back",
      notes: OLD,
      play: async (play) => {
        play.client.write(
          queryFrame("UPDATE items SET note = 'new' WHERE public.late_sleep(30 + id * 0)"),
        );
        await sleep(300);
        return await vanish(play);
      },
    },
    {
      when: "in a transaction block",
      told: "nothing",
      outcome: "rolled back in all, its locks are free",
      notes: OLD,
      play: async (play) => {
        for (const sql of WRITTEN_TO_ALL) await play.client.query(sql);
        return await vanish(play);
      },
    },
    {
      when: "after it has sent COMMIT",
      told: "nothing",
      outcome: "the commit is carried out",
      notes: NEW,
      play: async (play) => {
        for (const sql of [...READY, ...WRITTEN_TO_ALL]) await play.client.query(sql);
        const held = play.databases.gates.first.stop("request", "INSERT INTO colonnade");
        play.client.write(queryFrame("COMMIT"));
        await held.reached;
        await vanish(play);
        held.release();
        return "nothing";
      },
    },
    {
      when: "in the middle of COPY FROM STDIN",
      told: "nothing",
      outcome: "no row of it is there, in any database",
      notes: OLD,
      play: async (play) => {
        await startCopy(play);
        return await vanish(play);
      },
    },
    {
      when: "in the middle of COPY TO STDOUT",
      told: "nothing",
      outcome: "its connections to the databases are free",
      notes: OLD,
      play: async (play) => {
        play.client.write(
          queryFrame(
            "COPY (SELECT repeat('x', 10000) FROM items, generate_series(1, 20000)) TO STDOUT",
          ),
        );
        await play.client.receive();
        return await vanish(play);
      },
    },
    {
      when: "with an open cursor",
      told: "nothing",
      outcome: "its connections to the databases are free",
      notes: OLD,
      play: async (play) => {
        await play.client.query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM items ORDER BY id");
        await play.client.query("FETCH 1 FROM c");
        return await vanish(play);
      },
    },
  ],
};

async function withoutCatalog(
  { databases, client }: Play,
  play: () => Promise<string>,
): Promise<string> {
  // What it asks of the catalog database once it has asked.
  await client.query(UPDATE_B.replace("'new'", "'old'"));
  await databases.first.kill9();
  try {
    return await play();
  } finally {
    await databases.first.restart();
  }
}

const CATALOG_LOST: LossGroup = {
  lost: "The catalog database",
  cases: [
    {
      when: "while a known statement for one other database runs",
      told: "UPDATE 1",
      outcome: "committed: it does not need the catalog database",
      notes: ONLY_B,
      play: (play) => withoutCatalog(play, () => tell(play.client, UPDATE_B)),
    },
    {
      when: "before COMMIT of a transaction that has nothing in it",
      told: "COMMIT",
      outcome: "committed, also where the schema has changed meanwhile",
      notes: ONLY_B,
      play: async (play) => {
        for (const sql of WRITTEN_TO_B) await play.client.query(sql);
        // The proxy forgets what it knows of sessions, and would have to ask again.
        const other = await play.proxy.connect();
        await other.query("CREATE TABLE changed (); DROP TABLE changed");
        await other.close();
        await play.databases.first.kill9();
        const answer = await tell(play.client, "COMMIT");
        await play.databases.first.restart();
        return answer;
      },
    },
    {
      when: "before ROLLBACK of a failed transaction",
      told: "ROLLBACK",
      outcome: "rolled back",
      notes: OLD,
      play: async (play) => {
        for (const sql of WRITTEN_TO_B) await play.client.query(sql);
        await play.client.query("SELECT 1 / 0").catch(() => undefined);
        const other = await play.proxy.connect();
        await other.query("CREATE TABLE changed (); DROP TABLE changed");
        await other.close();
        await play.databases.first.kill9();
        const answer = await tell(play.client, "ROLLBACK");
        await play.databases.first.restart();
        return answer;
      },
    },
    {
      when: "when a statement has rows in it",
      told: "08001",
      outcome: "rolled back in all",
      notes: OLD,
      play: (play) =>
        withoutCatalog(play, async () => {
          // The first may meet connections that are already lost.
          await tell(play.client, "SELECT note FROM items ORDER BY id");
          return await tell(play.client, "UPDATE items SET note = 'new'");
        }),
    },
  ],
};

export const LOSSES: readonly LossGroup[] = [BACKEND_LOST, CLIENT_LOST, CATALOG_LOST];
