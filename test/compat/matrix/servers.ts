/**
 * What the matrix runs against: one plain PostgreSQL, and the proxy before two more with three
 * databases. Both are reached over TLS under one certificate authority, both ask the user
 * "app" for its password by SCRAM, and both have the tables of schema.sql.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { generate } from "selfsigned";
import { startPostgres, type TestPostgres } from "../../support/postgres.ts";
import { startTestProxy, type TestProxy } from "../../support/proxy.ts";

export type TargetName = "postgresql" | "proxy";

export interface Target {
  readonly name: TargetName;
  readonly port: number;
  /** As the program's environment names them. */
  connect(): Promise<pg.Client>;
  /** Drops what the last program left, and creates the tables. */
  renew(): Promise<void>;
}

export interface Servers extends AsyncDisposable {
  readonly targets: readonly [Target, Target];
  readonly caFile: string;
  /** An empty database of the plain server, made anew: what is restored goes there. */
  renewEmptyDatabase(): Promise<void>;
  proxyOutput(): string;
}

export const HOST = "127.0.0.1";
export const USER = "app";
export const PASSWORD = "secret";
export const DATABASE = "main";

const SCHEMA_FILE = new URL("schema.sql", import.meta.url);
export const EMPTY_DATABASE = "restored";
const SECOND_SCHEMA = "second";
const CREATE_USER = `CREATE ROLE ${USER} LOGIN PASSWORD '${PASSWORD}'`;

export async function startServers(): Promise<Servers> {
  await using started = new AsyncDisposableStack();
  const tls = await makeCertificates();
  const directory = await mkdtemp(join(tmpdir(), "colonnade-compat-"));
  started.defer(async () => await rm(directory, { recursive: true, force: true }));
  const caFile = await writeFiles(directory, tls);
  const plain = started.use(
    await startPostgres({ tls, hba: [`hostssl all ${USER} ${HOST}/32 scram-sha-256`] }),
  );
  const hba = [`host all ${USER} ${HOST}/32 scram-sha-256`];
  const first = started.use(await startPostgres({ hba }));
  const second = started.use(await startPostgres({ hba }));
  await prepareServer(plain, [DATABASE, EMPTY_DATABASE]);
  await prepareServer(first, [DATABASE, "shards1"]);
  await prepareServer(second, ["shards2"]);
  await second.query("shards2", `CREATE SCHEMA ${SECOND_SCHEMA} AUTHORIZATION ${USER}`);
  const proxy = started.use(await startProxyBefore(first, second, directory));
  const schema = await readFile(SCHEMA_FILE, "utf8");
  const kept = started.move();
  return {
    targets: [
      target("postgresql", plain.port, tls.ca, schema),
      target("proxy", proxy.port, tls.ca, schema),
    ],
    caFile,
    renewEmptyDatabase: async () => {
      await plain.query("postgres", `DROP DATABASE ${EMPTY_DATABASE} WITH (FORCE)`);
      await plain.query("postgres", `CREATE DATABASE ${EMPTY_DATABASE} OWNER ${USER}`);
    },
    proxyOutput: () => proxy.output(),
    [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
  };
}

interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** An authority and a server's certificate: some TLS libraries refuse an authority's own as a server's. */
async function makeCertificates(): Promise<Certificates> {
  const authority = await generate([{ name: "commonName", value: "Colonnade compatibility" }], {
    keySize: 2048,
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const server = await generate([{ name: "commonName", value: "localhost" }], {
    keySize: 2048,
    algorithm: "sha256",
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: HOST },
        ],
      },
    ],
  });
  return { ca: authority.cert, certificate: server.cert, key: server.private };
}

async function writeFiles(directory: string, tls: Certificates): Promise<string> {
  await writeFile(join(directory, "server.pem"), tls.certificate);
  await writeFile(join(directory, "server.key"), tls.key, { mode: 0o600 });
  await writeFile(join(directory, "users.txt"), `"${USER}" "${PASSWORD}"\n`);
  // Drivers read it as whoever runs them.
  const caFile = join(directory, "ca.pem");
  await writeFile(caFile, tls.ca);
  return caFile;
}

async function prepareServer(server: TestPostgres, databases: readonly string[]): Promise<void> {
  await server.query("postgres", CREATE_USER);
  for (const database of databases) {
    await server.query("postgres", `CREATE DATABASE ${database} OWNER ${USER}`);
  }
}

async function startProxyBefore(
  first: TestPostgres,
  second: TestPostgres,
  directory: string,
): Promise<TestProxy> {
  const url = (server: TestPostgres, database: string): string =>
    `postgres://${USER}:${PASSWORD}@${HOST}:${server.port}/${database}`;
  const map = mapOf(url(first, DATABASE), url(first, "shards1"), url(second, "shards2"));
  return await startTestProxy(map, {
    connectAs: { user: USER, password: PASSWORD },
    config: {
      listen: {
        tls: { cert: join(directory, "server.pem"), key: join(directory, "server.key") },
      },
      auth: { method: "scram-sha-256", users_file: join(directory, "users.txt") },
    },
  });
}

function mapOf(main: string, shards1: string, shards2: string): string {
  const colocation = (name: string, key: string, tables: string): string => `
  ${name}:
    shard_key: ${key}
    function: hash
    logical_shards: 16
    tables: { ${tables} }
    placements:
      - { shards: 0-3, database: main }
      - { shards: 4-7, database: shards1 }
      - { shards: 8-11, database: shards2 }
      - { shards: 12-15, database: shards2, schema: ${SECOND_SCHEMA} }`;
  return `version: 1
catalog: main
databases:
  main: { primary: "${main}" }
  shards1: { primary: "${shards1}" }
  shards2: { primary: "${shards2}" }
colocations:${colocation("accounts", "bigint", "accounts: id, entries: account_id")}
${colocation("types", "bigint", "every_type: id")}
${colocation("bench_accounts", "integer", "pgbench_accounts: aid, pgbench_history: aid")}
${colocation("bench_tellers", "integer", "pgbench_tellers: tid")}
${colocation("bench_branches", "integer", "pgbench_branches: bid")}
reference_tables: [kinds]
`;
}

/** Tables, views, sequences of their own, routines and types of `public`, whoever left them. */
const LEFTOVERS = `
SELECT format('DROP %s IF EXISTS %s CASCADE',
         CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                        WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, c.oid::regclass) AS drop
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                     AND d.refobjid <> c.oid AND d.deptype IN ('i', 'a', 'e'))
UNION ALL
SELECT format('DROP ROUTINE IF EXISTS %s CASCADE', p.oid::regprocedure)
  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
UNION ALL
SELECT format('DROP %s IF EXISTS %s CASCADE', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.oid::regtype)
  FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
 WHERE t.typnamespace = 'public'::regnamespace AND t.typelem = 0
   AND (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c')`;

function target(name: TargetName, port: number, ca: string, schema: string): Target {
  const connect = async (): Promise<pg.Client> => {
    const ssl = { ca };
    const settings = { host: "localhost", port, user: USER, password: PASSWORD, ssl };
    const client = new pg.Client({ ...settings, database: DATABASE });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };
  const renew = async (): Promise<void> => {
    const client = await connect();
    try {
      // A DROP takes what hangs on it along, so the list is asked for before and worked off after.
      const { rows } = await client.query<{ drop: string }>(LEFTOVERS);
      for (const { drop } of rows) await client.query(drop);
      await client.query(schema);
    } finally {
      await client.end();
    }
  };
  return { name, port, connect, renew };
}
