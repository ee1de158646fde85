/** Servers behind a proxy whose console has users of its own, and ways to ask it. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { RawClient } from "../support/raw-client.ts";
import type { TestProxy } from "../support/proxy.ts";
import { startServers } from "../session/servers.ts";
import type { Servers } from "../session/servers.ts";

export const PASSWORD = "console secret";

/** `ops` may do all, `watcher` may look, `stranger` has a password and nothing else. */
const USERS = ["ops", "watcher", "stranger"].map((user) => `"${user}" "${PASSWORD}"\n`).join("");

export type ConsoleServers = Servers;

/** `config` is merged over a quiet log, free ports and the console's users. */
export async function startConsoleServers(
  config: Readonly<Record<string, unknown>> = {},
): Promise<ConsoleServers> {
  const directory = await mkdtemp(join(tmpdir(), "colonnade-console-"));
  const usersFile = join(directory, "users.txt");
  await writeFile(usersFile, USERS);
  const removed = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const servers = await startServers({
    config: {
      console: { admin_users: ["ops"], stats_users: ["watcher"], users_file: usersFile },
      ...config,
    },
  }).catch(async (cause: unknown) => {
    await removed();
    throw cause;
  });
  return {
    ...servers,
    [Symbol.asyncDispose]: async () => {
      await servers[Symbol.asyncDispose]();
      await removed();
    },
  };
}

export async function consoleClient(
  { port, host }: Pick<TestProxy, "port" | "host">,
  user = "ops",
  password = PASSWORD,
): Promise<RawClient> {
  const timeoutMs = 20_000;
  return await RawClient.connect({ host, port, user, password, database: "colonnade", timeoutMs });
}

/** node-postgres. */
export async function driver(
  { port, host }: TestProxy,
  more: pg.ClientConfig = {},
): Promise<pg.Client> {
  const database = "colonnade";
  const client = new pg.Client({ host, port, user: "ops", password: PASSWORD, database, ...more });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** Aligned rows with a line of names above them, or rejects with psql's words. */
export async function psql({ port, host }: TestProxy, command: string): Promise<string> {
  const arguments_ = [
    "-X",
    "-h",
    host,
    "-p",
    String(port),
    "-U",
    "ops",
    "colonnade",
    "-c",
    command,
  ];
  const env = { ...process.env, PGPASSWORD: PASSWORD, PAGER: "" };
  const { stdout } = await promisify(execFile)("psql", arguments_, { env });
  return stdout;
}

export type Row = Readonly<Record<string, unknown>>;

/** The rows of one SHOW, asked over a connection of its own. */
export async function rowsOf(proxy: TestProxy, show: string): Promise<readonly Row[]> {
  const client = await driver(proxy);
  try {
    return (await client.query<Row>(`SHOW ${show}`)).rows;
  } finally {
    await client.end();
  }
}
