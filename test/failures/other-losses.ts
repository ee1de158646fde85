/** The client, or the catalog database, is lost: rows of docs/failures.md, each with the play that shows it. */
import { setTimeout as sleep } from "node:timers/promises";
import { queryFrame } from "../support/raw-frames.ts";
import type { LossGroup, Play } from "./loss-case.ts";
import {
  OLD,
  NEW,
  ONLY_B,
  tell,
  startCopy,
  UPDATE_B,
  WRITTEN_TO_B,
  WRITTEN_TO_ALL,
  READY,
} from "./play-steps.ts";

/** Nobody is there to be told. */
async function vanish({ client }: Play): Promise<string> {
  client.destroy();
  await sleep(100);
  return "nothing";
}

export const CLIENT_LOST: LossGroup = {
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

export const CATALOG_LOST: LossGroup = {
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
