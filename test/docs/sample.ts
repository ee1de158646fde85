/** The sample that `npm start` gives, started for a document that shows sessions with it. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { freePort } from "../../cli/dev/free-port.ts";
import { startCommand } from "../support/command.ts";
import { formatError, formatResult } from "../support/psql-format.ts";
import { RawClient } from "../support/raw-client.ts";
import { frame, queryFrame, readCstrings, readFields } from "../support/raw-frames.ts";

export interface Sample extends AsyncDisposable {
  /** For files of a test's own. */
  readonly directory: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly client: pg.Client;
  /** As psql prints it; `data` is for COPY ... FROM STDIN. */
  answer(sql: string, data: string): Promise<string>;
}

export async function startSample(): Promise<Sample> {
  const directory = mkdtempSync(join(tmpdir(), "colonnade-docs-"));
  execFileSync("chmod", ["755", directory]);
  const address = { host: "127.0.0.1", port: await freePort() };
  const ports = ["--port", String(address.port), "--admin-port", String(await freePort())];
  const dev = startCommand("dev", "--data", join(directory, "data"), ...ports);
  await dev.untilPrinted("Ctrl-C stops everything");
  const client = new pg.Client({
    ...address,
    user: "postgres",
    database: "main",
    // As psql does: every value is the text that the server sent.
    types: { getTypeParser: () => (value: string) => value },
  });
  await client.connect();
  return {
    directory,
    address,
    client,
    answer: (sql, data) =>
      sql.startsWith("COPY ") ? copied(address, sql, data) : queried(client, sql),
    [Symbol.asyncDispose]: async () => {
      await client.end();
      dev.child.kill("SIGINT");
      await dev.finished;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function queried(client: pg.Client, sql: string): Promise<string> {
  try {
    const result = await client.query<(string | null)[]>({ text: sql, rowMode: "array" });
    return result.fields.length === 0 ? tagOf(result) : formatResult(result);
  } catch (error) {
    if (error instanceof pg.DatabaseError) return formatError(error, sql);
    throw error;
  }
}

function tagOf({ command, rowCount }: pg.QueryArrayResult): string {
  const oid = command === "INSERT" ? " 0" : "";
  return rowCount === null ? command : `${command}${oid} ${rowCount}`;
}

/** The driver does not carry the data of a COPY. */
async function copied(address: Sample["address"], sql: string, data: string): Promise<string> {
  const client = await RawClient.connect({ ...address, user: "postgres", database: "main" });
  try {
    client.write(queryFrame(sql));
    if (sql.includes("FROM STDIN")) {
      client.write(frame("d", Buffer.from(data)));
      client.write(frame("c"));
    }
    const { messages } = await client.untilReady();
    const failed = messages.find(({ type }) => type === "E");
    if (failed !== undefined) {
      const { M: message = "", D: detail, H: hint, W: where } = readFields(failed.body);
      return formatError({ message, detail, hint, where, position: undefined }, sql);
    }
    const text = messages.filter(({ type }) => type === "d").map(({ body }) => body.toString());
    if (text.length > 0) return text.join("").trimEnd();
    return messages.flatMap(({ type, body }) => (type === "C" ? readCstrings(body) : [])).join("");
  } finally {
    client.destroy();
  }
}
