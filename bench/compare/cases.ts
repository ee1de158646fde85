/**
 * What the contenders are asked to do. A case is data: another one is another entry.
 * What each measures, and how, is `measure.ts`' business.
 */
import { fileURLToPath } from "node:url";
import type { PgbenchRun } from "../../test/pgbench/pgbench.ts";
import { MULTIPLEXED } from "./contenders.ts";
import type { World } from "./contenders.ts";
import { ACCOUNTS_PER_BRANCH, BRANCHES, ROWS } from "./data.ts";
import type { StatementStyle } from "./load/request.ts";

export type Work =
  | {
      readonly kind: "pgbench";
      readonly protocol: PgbenchRun["protocol"];
      readonly clients: number;
      /** As pgbench takes it: for contenders that have tables, and for those that have functions alone. */
      readonly scripts: Readonly<Record<"tables" | "functions", readonly string[]>>;
    }
  | {
      readonly kind: "closed";
      readonly style: StatementStyle;
      readonly clients: number;
      readonly pipeline: number;
    }
  | {
      readonly kind: "paced";
      readonly style: StatementStyle;
      readonly clients: number;
      readonly perSecond: number;
    }
  | { readonly kind: "bulk"; readonly direction: "result" | "copyIn" | "copyOut" }
  | { readonly kind: "idle" }
  | { readonly kind: "ormMiss" }
  | { readonly kind: "workers" };

export interface Case {
  /** As `--cases` takes it, and as the table shows it. */
  readonly name: string;
  readonly about: string;
  readonly world: World;
  /** Its clients prepare statements by name. */
  readonly prepares: boolean;
  readonly work: Work;
  /** Part of `--short`. */
  readonly isShort: boolean;
  /** Contenders that would show what another shows already, or that cannot do it. */
  readonly without: readonly string[];
  /** It says nothing on a machine of fewer. */
  readonly coresMin: number;
}

const PROTOCOLS = ["simple", "extended", "prepared"] as const;
const CLIENTS = 32;
/** A quarter of what PgBouncer answers on two cores: nobody is at his limit. */
const PACE_PER_SECOND = 2_000;
/** Two workers, the backend, and two loads. */
const CORES_FOR_WORKERS = 5;

function scriptAt(path: string, variables: Readonly<Record<string, number>>): readonly string[] {
  const file = fileURLToPath(new URL(path, import.meta.url));
  const words = Object.entries(variables).flatMap(([name, value]) => ["-D", `${name}=${value}`]);
  return ["-f", file, ...words];
}

const POINT_SELECT = scriptAt("../point-select.sql", { rows: ROWS });
const BY_BRANCH = scriptAt("../../test/pgbench/by-branch.sql", {
  branches: BRANCHES,
  accounts: ACCOUNTS_PER_BRANCH,
});

const USUAL = {
  world: "single",
  prepares: false,
  isShort: true,
  without: [],
  coresMin: 1,
} as const;

/** Writes, COPY, large results and a client that is alone go much the same way, reads multiplexed or not. */
const ONE_WAY = { ...USUAL, without: [MULTIPLEXED] } as const;

/** The others have a server connection for each client. */
const POOLERS = {
  ...USUAL,
  without: ["direct", "haproxy", "node-relay", "pgpool", MULTIPLEXED],
} as const;

function pgbench(
  protocol: PgbenchRun["protocol"],
  clients: number,
  tables: readonly string[],
  functions: readonly string[] = [],
): Pick<Case, "prepares" | "work"> {
  const scripts = { tables, functions };
  return {
    prepares: protocol === "prepared",
    work: { kind: "pgbench", protocol, clients, scripts },
  };
}

const SELECTS: readonly Case[] = [CLIENTS, 1].flatMap((clients) =>
  PROTOCOLS.map((protocol): Case => ({
    ...USUAL,
    name: `select-${protocol}-${clients}`,
    about: `point selects of ${clients} client${clients === 1 ? "" : "s"}, ${protocol} protocol`,
    isShort: clients === CLIENTS && protocol !== "extended",
    ...pgbench(protocol, clients, POINT_SELECT),
  })),
);

const PACED: readonly Case[] = (["simple", "prepared"] as const).map((style) => ({
  ...USUAL,
  name: `rate-${style}-${CLIENTS}`,
  about: `latency of ${PACE_PER_SECOND} point selects a second by ${CLIENTS} clients, from when each was due, ${style} protocol`,
  isShort: false,
  prepares: style === "prepared",
  work: { kind: "paced", style, clients: CLIENTS, perSecond: PACE_PER_SECOND },
}));

const WRITES: readonly Case[] = (["simple", "prepared"] as const).map((protocol) => ({
  ...ONE_WAY,
  name: `tpcb-${protocol}-${CLIENTS}`,
  about: `TPC-B-like transactions on one placement, ${CLIENTS} clients, ${protocol} protocol`,
  isShort: protocol === "simple",
  ...pgbench(protocol, CLIENTS, BY_BRANCH),
}));

const BULK: readonly Case[] = (
  [
    ["result", "result", "a result of many rows of 1 kB"],
    ["copy-in", "copyIn", "COPY FROM STDIN of rows of 1 kB"],
    ["copy-out", "copyOut", "COPY TO STDOUT of rows of 1 kB"],
  ] as const
).map(([name, direction, about]) => ({
  ...ONE_WAY,
  name,
  about,
  isShort: direction !== "copyOut",
  work: { kind: "bulk", direction },
}));

const SHARDED: readonly Case[] = (
  [
    ["sharded-read", "point selects", POINT_SELECT, "scripts/read-by-function.sql"],
    [
      "sharded-write",
      "updates of one row",
      scriptAt("scripts/write.sql", { rows: ROWS }),
      "scripts/write-by-function.sql",
    ],
  ] as const
).map(([name, what, tables, functions]) => ({
  ...USUAL,
  name,
  about: `${what} over four databases, ${CLIENTS} clients, prepared`,
  world: "sharded",
  isShort: name === "sharded-read",
  ...pgbench("prepared", CLIENTS, tables, scriptAt(functions, { rows: ROWS })),
}));

export const CASES: readonly Case[] = [
  ...SELECTS,
  ...PACED,
  {
    ...ONE_WAY,
    name: "latency-1",
    about: "time of a point select, one client that waits for each answer, simple protocol",
    work: { kind: "closed", style: "simple", clients: 1, pipeline: 1 },
  },
  {
    ...USUAL,
    name: "pipeline-10",
    about: `prepared point selects, ten at once of each of ${CLIENTS} clients, each its own transaction`,
    prepares: true,
    work: { kind: "closed", style: "prepared", clients: CLIENTS, pipeline: 10 },
  },
  ...WRITES,
  {
    ...USUAL,
    name: "orm-mix",
    about: "statements of an ORM, no text twice, 8 clients",
    // Pgpool-II 4.3.5 leaves some of its clients without an answer for ever.
    without: ["pgpool"],
    isShort: false,
    work: { kind: "closed", style: "orm", clients: 8, pipeline: 1 },
  },
  ...BULK,
  ...SHARDED,
  { ...POOLERS, name: "idle", about: "memory of idle clients", work: { kind: "idle" } },
  {
    ...USUAL,
    name: "orm-miss",
    about: "planning a statement of an ORM that was never met, in JavaScript alone",
    work: { kind: "ormMiss" },
  },
  {
    ...USUAL,
    name: "workers",
    about: "two workers beside one, before a backend that costs nothing",
    isShort: false,
    coresMin: CORES_FOR_WORKERS,
    work: { kind: "workers" },
  },
];
