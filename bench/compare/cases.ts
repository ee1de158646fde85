/**
 * What the contenders are asked to do. A case is data: another one is another entry.
 */
import { fileURLToPath } from "node:url";
import type { PgbenchRun } from "../../test/pgbench/pgbench.ts";

export interface Case {
  /** As `--cases` takes it, and as the table shows it. */
  readonly name: string;
  readonly protocol: PgbenchRun["protocol"];
  readonly clients: number;
  /** As pgbench takes it. */
  readonly script: readonly string[];
}

/** Rows of the table that `SETUP` makes: it and its index fit into any server's memory. */
export const ROWS = 100_000;

export const SETUP = `CREATE TABLE accounts (aid bigint PRIMARY KEY, abalance integer NOT NULL);
  INSERT INTO accounts SELECT n, n FROM generate_series(1, ${ROWS}) AS n;
  ANALYZE accounts`;

const POINT_SELECT = [
  "-f",
  fileURLToPath(new URL("../point-select.sql", import.meta.url)),
  "-D",
  `rows=${ROWS}`,
];

export const CASES: readonly Case[] = [32, 1].flatMap((clients) =>
  (["simple", "extended", "prepared"] as const).map((protocol): Case => ({
    name: `select-${protocol}-${clients}`,
    protocol,
    clients,
    script: POINT_SELECT,
  })),
);
