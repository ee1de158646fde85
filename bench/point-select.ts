/**
 * Point selects as `pgbench -S` makes them, straight to PostgreSQL and through the proxy,
 * in turns of one run: the ratio says more than either number.
 */
import { fileURLToPath } from "node:url";
import { hasPgbench, runPgbench } from "../test/pgbench/pgbench.ts";
import type { PgbenchRun } from "../test/pgbench/pgbench.ts";
import { startPostgres } from "../test/support/postgres.ts";
import { startTestProxy } from "../test/support/proxy.ts";
import { median } from "./measurement.ts";
import type { Measurement } from "./measurement.ts";

const ROWS = 100_000;
const TURNS = 3;
const SCRIPT = fileURLToPath(new URL("point-select.sql", import.meta.url));

export async function measurePointSelects(seconds: number): Promise<readonly Measurement[]> {
  if (!hasPgbench()) {
    process.stdout.write("point selects: skipped, pgbench is not installed\n");
    return [];
  }
  await using server = await startPostgres({ databases: ["app"] });
  await server.query(
    "app",
    `CREATE TABLE accounts (aid bigint PRIMARY KEY, abalance integer NOT NULL); INSERT INTO accounts SELECT n, n FROM generate_series(1, ${ROWS}) AS n; ANALYZE accounts`,
  );
  const map = [
    "version: 1",
    "catalog: app",
    `databases: { app: { primary: "${server.url("app")}" } }`,
    "colocations:",
    "  accounts: { shard_key: bigint, function: hash, logical_shards: 16, tables: { accounts: aid }, placements: [{ shards: 0-15, database: app }] }",
    "",
  ].join("\n");
  await using proxy = await startTestProxy(map);

  const measurements: Measurement[] = [];
  for (const protocol of ["simple", "extended", "prepared"] as const) {
    for (const clients of [1, 8]) {
      const run = (port: number): PgbenchRun => ({
        host: "127.0.0.1",
        port,
        database: "app",
        protocol,
        seconds,
        clients,
        script: ["-f", SCRIPT, "-D", `rows=${ROWS}`],
      });
      const rates: { direct: number[]; proxied: number[] } = { direct: [], proxied: [] };
      for (let turn = 0; turn < TURNS; turn++) {
        rates.direct.push((await runPgbench(run(server.port))).perSecond);
        rates.proxied.push((await runPgbench(run(proxy.port))).perSecond);
      }
      const [direct, proxied] = [median(rates.direct), median(rates.proxied)];
      const what = `point select, ${protocol}, ${clients} client${clients === 1 ? "" : "s"}`;
      measurements.push(
        { name: `${what}: direct`, value: direct, unit: "per s" },
        { name: `${what}: through the proxy`, value: proxied, unit: "per s" },
        { name: `${what}: ratio`, value: proxied / direct, unit: "x direct" },
      );
    }
  }
  return measurements;
}
