/**
 * TPC-C and sysbench through the proxy: tables made, rows loaded, and every transaction run
 * beside one PostgreSQL; answers, row counts and, at the end, all rows are equal.
 */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";
import { DATABASES, mapYaml } from "./servers.ts";
import { SYSBENCH } from "./sysbench.ts";
import { TPCC } from "./tpcc.ts";
import type { Call } from "./workload.ts";

const PLAIN = "plain";

describe.for([TPCC, SYSBENCH])("$name", (workload) => {
  let server: TestPostgres;
  let proxy: TestProxy;
  let plain: pg.Client;
  let client: pg.Client;
  beforeAll(async () => {
    server = await startPostgres({
      databases: [PLAIN, ...DATABASES],
      settings: { max_prepared_transactions: "20" },
    });
    plain = await server.connect(PLAIN);
    proxy = await startTestProxy(mapYaml(workload, (name) => server.url(name)));
    client = new pg.Client(proxy.url());
    await client.connect();
    for (const sql of [...workload.schema, ...workload.load]) {
      await plain.query(sql);
      await client.query(sql);
    }
  });
  afterAll(async () => {
    await client?.end();
    await plain?.end();
    await proxy?.stop();
    await server?.stop();
  });

  test.for(workload.transactions)("$name", async ({ statements }) => {
    const expected = await run(plain, statements);
    expect(await run(client, statements)).toEqual(expected);
  });

  test("afterwards both hold the same rows", async () => {
    const { rows } = await plain.query<{ name: string }>(
      "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    expect(rows.length).toBeGreaterThan(1);
    for (const { name } of rows) {
      const all = { sql: `SELECT * FROM ${name}`, values: [], isSingle: false };
      expect(await ask(client, all)).toEqual(await ask(plain, all));
    }
  });
});

interface Answer {
  readonly command: string;
  readonly rowCount: number | null;
  readonly columns: readonly string[];
  readonly rows: readonly string[];
}

async function run(client: pg.Client, statements: readonly Call[]): Promise<Answer[]> {
  await client.query("BEGIN");
  const answers: Answer[] = [];
  for (const call of statements) answers.push(await ask(client, call));
  await client.query("COMMIT");
  return answers;
}

async function ask(client: pg.Client, { sql, values }: Call): Promise<Answer> {
  const { command, rowCount, fields, rows } = await client.query<(string | null)[]>({
    text: sql,
    values: [...values],
    rowMode: "array",
    types: { getTypeParser: () => (text: string) => text },
  });
  const columns = fields.map(
    ({ name, dataTypeID, dataTypeModifier }) => `${name} ${dataTypeID} ${dataTypeModifier}`,
  );
  const lines = rows.map((row) => JSON.stringify(row));
  return { command, rowCount, columns, rows: sql.includes("ORDER BY") ? lines : lines.toSorted() };
}
