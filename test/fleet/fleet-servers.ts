/**
 * A fleet for tests: proxies in processes of their own that follow a control schema, which has
 * a server of its own, so that it can be lost alone. `users` is on users0 and users1.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { stringify } from "yaml";
import { freePort } from "../../cli/dev/free-port.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { publishMap } from "../../control/map-versions.ts";
import { upgradeControlSchema } from "../../control/schema-versions.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { startCommand, type RunningCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { RawClient } from "../support/raw-client.ts";

/** Long enough for whatever a test holds back. */
const ANSWER_TIMEOUT_MS = 40_000;

export interface FleetProxy {
  readonly command: RunningCommand;
  readonly port: number;
  readonly adminPort: number;
  connect(): Promise<pg.Client>;
  raw(): Promise<RawClient>;
  /** By its name, with its labels where it has some. */
  metric(name: string): Promise<number>;
}

export interface Fleet {
  readonly data: TestPostgres;
  readonly control: TestPostgres;
  /** To the control schema. */
  readonly database: ControlDatabase;
  readonly proxies: readonly FleetProxy[];
  /** Ids of users on each placement. */
  readonly east: readonly number[];
  readonly west: readonly number[];
  /** `home`: the database of the first four shards. Nobody moves their rows. */
  publish(version: number, home?: string): Promise<void>;
  /** One more, which reaches the control schema as a role of its own, that can be locked out. */
  join(role: string, config: Readonly<Record<string, unknown>>): Promise<FleetProxy>;
  stop(): Promise<void>;
}

/** One proxy for each configuration, of so many workers. */
export async function startFleet(
  configs: readonly Readonly<Record<string, unknown>>[],
  workers = 1,
): Promise<Fleet> {
  const directory = mkdtempSync(join(tmpdir(), "colonnade-holds-"));
  const settings = { max_prepared_transactions: "20", max_connections: "200" };
  const [data, control] = await Promise.all([
    startPostgres({ databases: ["main", "users0", "users1"], settings }),
    startPostgres(),
  ]);
  for (const name of ["main", "users0", "users1"])
    await data.query(name, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
  const database = await ControlDatabase.open(parseBackendAddress(control.url("postgres")));
  await upgradeControlSchema(database, undefined);
  const publish = async (version: number, home = "users0"): Promise<void> => {
    const map = {
      version,
      yaml: mapOf(data, version, home),
      author: "test",
      changes: [],
      identities: {},
    };
    await publishMap(database, map, version === 1 ? undefined : version - 1);
  };
  await publish(1);
  const starts = await Promise.allSettled(
    configs.map((config) => startProxy(directory, control.url("postgres"), config, workers)),
  );
  const proxies = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const failure = starts.find((start) => start.status === "rejected");
  if (failure !== undefined) {
    for (const { command } of proxies) command.child.kill("SIGKILL");
    database.connection.close();
    await Promise.all([data.stop(), control.stop()]);
    rmSync(directory, { recursive: true, force: true });
    throw failure.reason;
  }
  const [first] = proxies;
  if (first !== undefined) await fill(first);
  const all = [...proxies];
  return {
    data,
    control,
    database,
    proxies,
    east: await idsIn(data, "users0"),
    west: await idsIn(data, "users1"),
    publish,
    join: async (role, config) => {
      await control.query("postgres", `CREATE ROLE ${role} LOGIN`);
      await upgradeControlSchema(database, role);
      const url = control.url("postgres").replace("postgres@", `${role}@`);
      const proxy = await startProxy(directory, url, config, 1);
      all.push(proxy);
      return proxy;
    },
    stop: async () => {
      database.connection.close();
      for (const { command } of all) {
        command.child.kill("SIGCONT");
        command.child.kill("SIGINT");
        await command.finished;
      }
      await data.stop();
      await control.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function idsIn(data: TestPostgres, name: string): Promise<readonly number[]> {
  const { rows } = await data.query(name, "SELECT id FROM users ORDER BY id");
  return rows.map(({ id }) => Number(id));
}

async function fill(proxy: FleetProxy): Promise<void> {
  const client = await proxy.connect();
  await client.query("INSERT INTO users SELECT n, 'old' FROM generate_series(1, 200) n");
  await client.end();
}

async function startProxy(
  directory: string,
  control: string,
  more: Readonly<Record<string, unknown>>,
  workers: number,
): Promise<FleetProxy> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = join(directory, `config-${port}.yaml`);
  writeFileSync(config, stringify({ ...more, listen: { port }, admin: { port: adminPort } }));
  const several = workers === 1 ? [] : ["--workers", String(workers)];
  const command = startCommand("serve", "--control", control, "--config", config, ...several);
  await command.untilPrinted("following the control schema");
  const address = { host: "127.0.0.1", port, user: "postgres", database: "main" } as const;
  return {
    command,
    port,
    adminPort,
    connect: async () => {
      const client = new pg.Client(address);
      await client.connect();
      return client;
    },
    raw: () => RawClient.connect({ ...address, timeoutMs: ANSWER_TIMEOUT_MS }),
    metric: async (name) => {
      const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
      const line = text.split("\n").find((each) => each.startsWith(`${name} `));
      return Number(line?.split(" ")[1]);
    },
  };
}

/** Each version lists one more table, which is yet to be made. */
function mapOf(data: TestPostgres, version: number, home: string): string {
  const more = Array.from({ length: version - 1 }, (_, index) => `, more${index}: user_id`);
  const primary = (name: string): string => `{ primary: "${data.url(name)}" }`;
  return `version: ${version}
catalog: main
databases: { main: ${primary("main")}, users0: ${primary("users0")}, users1: ${primary("users1")} }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { users: id${more.join("")} }
    placements:
      - { shards: 0-3, database: ${home} }
      - { shards: 4-7, database: users1 }
`;
}
