/**
 * A fleet whose rows are moved, for tests: a server for the catalog database with the control
 * schema, one with the data's databases, and proxies in processes of their own. `users` and
 * `orders` are a colocation on `users0` and `users1`; `invoices` is a group in `main`.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { stringify } from "yaml";
import { startCommand, type CommandResult, type RunningCommand } from "../support/command.ts";
import { freePort } from "../support/free-port.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { STREAMING, STREAMING_15 } from "./rig.ts";

const DATABASES = ["main", "users0", "users1", "users2", "books"];

const TABLES = `
CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, n int NOT NULL DEFAULT 0);
CREATE INDEX users_name ON users (name);
CREATE TABLE orders (user_id bigint REFERENCES users, id bigint, note text, PRIMARY KEY (user_id, id));
`;

/** A reference table, and a foreign key to it. */
const COUNTRIES = `
CREATE TABLE countries (code text PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO countries VALUES ('ch');
ALTER TABLE users ADD COLUMN country text DEFAULT 'ch' REFERENCES countries;
`;

export interface Served extends AsyncDisposable {
  readonly data: TestPostgres;
  /** Of an upgrade: the server of the version that tests usually have. */
  readonly newer: TestPostgres | undefined;
  readonly control: string;
  readonly proxies: readonly ServedProxy[];
  /** A file with the map of this version; `where` says which placements and groups it has. */
  mapFile(version: number, where: Where): string;
  /** `colonnade migrate ...` with the control schema's URL. */
  migrate(...words: readonly string[]): Promise<CommandResult>;
  /** The same as a process that goes on. */
  start(...words: readonly string[]): RunningCommand;
}

export interface ServedProxy {
  readonly port: number;
  readonly command: RunningCommand;
  connect(): Promise<pg.Client>;
}

export interface Where {
  /** As entries of the colocation's placements. */
  readonly users: readonly string[];
  /** Logical shards of that colocation, 8 unless given. */
  readonly shards?: number;
  /** Of the first map: what `users0` has beside its canonical schema, as SQL. */
  readonly more?: string;
  /** The database of the group. */
  readonly invoices: string;
  /** As entries of placements, once events are a colocation; before, they are a group in `main`. */
  readonly events?: readonly string[];
  /** All that there are unless given. */
  readonly databases?: readonly string[];
  /** Whether `countries`, which users refer to, is a reference table of the map. */
  readonly hasCountries?: true;
}

export const FIRST: Where = {
  users: ["shards: 0-3, database: users0", "shards: 4-7, database: users1"],
  invoices: "main",
};

/** `first`: the map that the fleet begins with. `upgradedTo`: the databases of a server of the usual version, beside one of PostgreSQL 15. */
export async function startServed(
  proxyCount: number,
  first: Where = FIRST,
  upgradedTo?: readonly string[],
): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), "colonnade-served-"));
  const more = { max_prepared_transactions: "20", max_connections: "200" };
  const usual = { settings: { ...STREAMING, ...more } };
  const old = { ...STREAMING_15, settings: { ...STREAMING_15.settings, ...more } };
  const data = await startPostgres({
    databases: DATABASES,
    ...(upgradedTo === undefined ? usual : old),
  });
  const newer = upgradedTo && (await startPostgres({ databases: upgradedTo, ...usual }));
  const urlOf = (name: string): string =>
    (upgradedTo?.includes(name) === true && newer?.url(name)) || data.url(name);
  const control = data.url("main");
  const started: RunningCommand[] = [];
  const stop = async (): Promise<void> => {
    for (const { child, finished } of started) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await finished;
    }
    await data.stop();
    await newer?.stop();
    rmSync(directory, { recursive: true, force: true });
  };
  const start = (...words: readonly string[]): RunningCommand => {
    const command = startCommand(...words, "--control", control);
    started.push(command);
    return command;
  };
  const run = async (...words: readonly string[]): Promise<CommandResult> =>
    await start(...words).finished;
  const mapFile = (version: number, where: Where): string => {
    const path = join(directory, `map-${version}-${started.length}.yaml`);
    writeFileSync(path, mapOf(urlOf, version, where));
    return path;
  };
  try {
    for (const name of ["main", "users0", "users1"]) {
      await data.query(name, TABLES);
      if (first.hasCountries === true) await data.query(name, COUNTRIES);
    }
    if (first.more !== undefined) await data.query("users0", first.more);
    await data.query(
      "main",
      "CREATE TABLE events (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, token text); CREATE TABLE invoices (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, token text UNIQUE, amount numeric)",
    );
    requireDone(await run("control", "init"));
    requireDone(await run("map", "publish", mapFile(1, first), "--no-wait"));
    const proxies: ServedProxy[] = [];
    for (let index = 0; index < proxyCount; index += 1)
      proxies.push(await startProxy(directory, start));
    return {
      data,
      newer,
      control,
      proxies,
      mapFile,
      start,
      migrate: async (...words) => await run("migrate", ...words),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startProxy(directory: string, start: Served["start"]): Promise<ServedProxy> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = join(directory, `config-${port}.yaml`);
  writeFileSync(config, stringify({ listen: { port }, admin: { port: adminPort } }));
  const command = start("serve", "--config", config);
  await command.untilPrinted("following the control schema");
  return {
    port,
    command,
    connect: async () => {
      const client = new pg.Client({ host: "127.0.0.1", port, user: "postgres", database: "main" });
      client.on("error", () => undefined);
      await client.connect();
      return client;
    },
  };
}

export function requireDone({ code, stdout, stderr }: CommandResult): string {
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}\n${stdout}`);
  return stdout;
}

function mapOf(urlOf: (name: string) => string, version: number, where: Where): string {
  const { users, shards = 8, invoices, events, databases = DATABASES, hasCountries } = where;
  return `# The fleet's map.
version: ${version}
catalog: main
databases:
${databases.map((name) => `  ${name}: { primary: "${urlOf(name)}" }`).join("\n")}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: ${shards}
    tables: { users: id, orders: user_id }
    placements:
${users.map((each) => `      - { ${each} }`).join("\n")}
${
  events === undefined
    ? ""
    : `  events:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { events: id }
    placements:
${events.map((each) => `      - { ${each} }`).join("\n")}
`
}groups:
  billing: { database: ${invoices}, tables: [invoices] }
${events === undefined ? "  log: { database: main, tables: [events] }\n" : ""}${hasCountries === true ? "reference_tables: [countries]\n" : ""}`;
}
