/** What the plays of docs/failures.md have in common: rows, statements, and ways to lose something. */
import { setTimeout as sleep } from "node:timers/promises";
import { ServerError } from "../support/raw-client.ts";
import type { RawClient } from "../support/raw-client.ts";
import { frame, queryFrame, readFields } from "../support/raw-frames.ts";
import type { Play } from "./loss-case.ts";
import { KEYS } from "./three-databases.ts";

export const OLD = ["old", "old", "old"];
export const NEW = ["new", "new", "new"];
export const ONLY_B = ["old", "new", "old"];

export const tell = (client: RawClient, sql: string): Promise<string> =>
  told(client, queryFrame(sql));

/** The SQLSTATE, or the tag of the last command. */
export async function told(client: RawClient, bytes: Buffer): Promise<string> {
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
export async function terminate({ databases }: Play, name: "b" | "c"): Promise<void> {
  await databases.second.query(
    "postgres",
    `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`,
  );
}

export const cutAt =
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

/** Until the first rows are with the last of the databases. */
export async function startCopy({ client, databases }: Play): Promise<void> {
  client.write(queryFrame("COPY items FROM STDIN"));
  client.write(COPY_DATA);
  const copying =
    "SELECT FROM pg_stat_activity WHERE datname = 'c' AND xact_start IS NOT NULL AND query LIKE 'COPY %'";
  while ((await databases.second.query("postgres", copying)).rows.length === 0) await sleep(20);
}

export const UPDATE_B = `UPDATE items SET note = 'new' WHERE id = ${KEYS.b}`;
export const WRITTEN_TO_B = ["BEGIN", UPDATE_B];
export const WRITTEN_TO_ALL = ["BEGIN", "UPDATE items SET note = 'new'"];
export const UPDATE_A = `UPDATE items SET note = 'new' WHERE id = ${KEYS.a}`;

/** Until the proxy, too, has been told of it. */
export async function loseB(play: Play): Promise<void> {
  await terminate(play, "b");
  await sleep(100);
}

/** The table of commit records is made before the first one is needed. */
export const READY = ["UPDATE items SET note = 'older'", "UPDATE items SET note = 'old'"];
