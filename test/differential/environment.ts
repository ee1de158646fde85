/** The servers of a differential run: one plain PostgreSQL database, and the map's three. */
import { loadParser } from "../../planner/parse.ts";
import { RawClient } from "../support/raw-client.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres, ThrowAwayOptions } from "../support/postgres.ts";
import type { TypeNames } from "./answer.ts";
import { DATABASES } from "./model.ts";
import { TABLES } from "./tables.ts";
import { createPlain, createSharded, mapYaml } from "./schema.ts";

export interface Environment extends AsyncDisposable {
  readonly mapYaml: string;
  /** The catalog database's server first. */
  readonly servers: readonly TestPostgres[];
  /** Direct connections, by the databases' names. */
  readonly databases: ReadonlyMap<string, RawClient>;
  readonly plainTypeNames: TypeNames;
  readonly twinTypeNames: TypeNames;
  readonly catalogTypeNames: TypeNames;
  readonly connectPlain: () => Promise<RawClient>;
  /** A second plain database of the same contents, to prove the harness against. */
  readonly connectTwin: () => Promise<RawClient>;
  readonly emptyAll: () => Promise<void>;
}

const PLAIN = "plain";
const TWIN = "twin";

/** The databases' default collation. Some columns have `C` or an ICU collation of their own. */
export const COLLATIONS = ["icu", "embedded"] as const;
export type DefaultCollation = (typeof COLLATIONS)[number];

const CREATE_DATABASE: Readonly<Record<DefaultCollation, string>> = {
  /** ICU's English sorts as no byte order does, so that a merge by bytes would show. */
  icu: "TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'",
  /** What the embedded server's own databases have. */
  embedded: "TEMPLATE template0",
};

export async function startEnvironment(
  collation: DefaultCollation = "icu",
  version: ThrowAwayOptions = {},
): Promise<Environment> {
  // Statements are counted by what their trees hold.
  await loadParser();
  const stack = new AsyncDisposableStack();
  try {
    const first = stack.use(await startPostgres(version));
    const second = stack.use(await startPostgres(version));
    const serverOf = new Map<string, TestPostgres>([
      [PLAIN, first],
      [TWIN, second],
      ["main", first],
      ["east", second],
      ["west", second],
    ]);
    for (const [name, server] of serverOf)
      await server.query("postgres", `CREATE DATABASE ${name} ${CREATE_DATABASE[collation]}`);
    const connect = (name: string): Promise<RawClient> =>
      connectTo(serverOf.get(name) as TestPostgres, name);

    const databases = new Map<string, RawClient>();
    for (const name of DATABASES) databases.set(name, closing(stack, await connect(name)));
    const plain = closing(stack, await connect(PLAIN));
    const twin = closing(stack, await connect(TWIN));
    await createPlain(plain);
    await createPlain(twin);
    await createSharded(databases);

    const urls = new Map(
      DATABASES.map((name) => [name as string, (serverOf.get(name) as TestPostgres).url(name)]),
    );
    const held = stack.move();
    return {
      mapYaml: mapYaml(urls),
      servers: [first, second],
      databases,
      plainTypeNames: await typeNames(plain),
      twinTypeNames: await typeNames(twin),
      catalogTypeNames: await typeNames(databases.get("main") as RawClient),
      connectPlain: () => connect(PLAIN),
      connectTwin: () => connect(TWIN),
      emptyAll: async () => {
        await empty(plain);
        await empty(twin);
        for (const client of databases.values()) await empty(client);
      },
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  } catch (cause) {
    await stack.disposeAsync();
    throw cause;
  }
}

function closing(stack: AsyncDisposableStack, client: RawClient): RawClient {
  return stack.adopt(client, (open) => open.close());
}

function connectTo(server: TestPostgres, database: string): Promise<RawClient> {
  return RawClient.connect({ host: server.host, port: server.port, user: "postgres", database });
}

async function typeNames(client: RawClient): Promise<TypeNames> {
  const rows = await client.query("SELECT oid, typname FROM pg_type");
  return new Map([
    ...rows.map(([oid, name]): [number, string] => [Number(oid), name ?? ""]),
    [0, "none"],
  ]);
}

/**
 * Sequences go on: the proxy has drawn blocks of their values. Deleting few rows is a
 * hundred times faster than making new files; triggers of foreign keys are not asked.
 */
async function empty(client: RawClient): Promise<void> {
  const names = TABLES.map(({ name }) => `'${name}'`).join(", ");
  const rows = await client.query(
    `SELECT format('DELETE FROM %I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'shard_b') AND tablename IN (${names})`,
  );
  const statements = rows.map(([statement]) => statement);
  await client.query(
    [
      "SET session_replication_role = replica",
      ...statements,
      "RESET session_replication_role",
    ].join("; "),
  );
}
