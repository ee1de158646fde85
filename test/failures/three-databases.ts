/**
 * Three databases on two servers, with a gate before each server: rows below 1000 are in `a`, the
 * catalog database and so the coordinator of what writes there; below 2000 in `b`, others in `c`.
 */
import { Gate } from "../support/gate.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

export const NAMES = ["a", "b", "c"] as const;
export type Name = (typeof NAMES)[number];
/** Of a row in each database. */
export const KEYS = { a: 1, b: 1001, c: 2001 } as const satisfies Record<Name, number>;

const TABLES = `
  CREATE TABLE items (id integer PRIMARY KEY, note text NOT NULL);
  CREATE FUNCTION public.late_sleep(double precision) RETURNS boolean LANGUAGE sql IMMUTABLE AS
    $$ SELECT pg_catalog.pg_sleep($1) IS NOT NULL $$;`;

export interface ThreeDatabases extends AsyncDisposable {
  readonly first: TestPostgres;
  readonly second: TestPostgres;
  readonly gates: { readonly first: Gate; readonly second: Gate };
  /** The proxy's connections go through the gates, or straight to the servers. */
  map(way: "gated" | "direct"): string;
  serverOf(name: Name): TestPostgres;
  /** The note of each database's row; undefined where there is none. */
  notes(): Promise<readonly (string | undefined)[]>;
  prepared(): Promise<readonly string[]>;
  /** One row in each database, with the note `old`. */
  reset(): Promise<void>;
}

export async function startThreeDatabases(
  settings: Readonly<Record<string, string>> = {},
): Promise<ThreeDatabases> {
  const stack = new AsyncDisposableStack();
  try {
    const both = { max_prepared_transactions: "50", ...settings };
    const first = stack.use(await startPostgres({ databases: ["a"], settings: both }));
    const second = stack.use(await startPostgres({ databases: ["b", "c"], settings: both }));
    const gates = {
      first: stack.use(await Gate.open(first)),
      second: stack.use(await Gate.open(second)),
    };
    const serverOf = (name: Name): TestPostgres => (name === "a" ? first : second);
    for (const name of NAMES) await serverOf(name).query(name, TABLES);
    const held = stack.move();
    const notes = (): Promise<readonly (string | undefined)[]> =>
      Promise.all(
        NAMES.map(async (name) => {
          const sql = `SELECT note FROM items WHERE id = ${KEYS[name]}`;
          return (await serverOf(name).query(name, sql)).rows[0]?.["note"] as string | undefined;
        }),
      );
    const prepared = async (): Promise<readonly string[]> => {
      const lists = await Promise.all(
        [first, second].map((server) =>
          server.query("postgres", "SELECT gid FROM pg_prepared_xacts"),
        ),
      );
      return lists.flatMap(({ rows }) => rows.map(({ gid }) => String(gid)));
    };
    const reset = async (): Promise<void> => {
      for (const name of NAMES)
        await serverOf(name).query(
          name,
          `TRUNCATE items; INSERT INTO items VALUES (${KEYS[name]}, 'old')`,
        );
    };
    return {
      first,
      second,
      gates,
      serverOf,
      notes,
      prepared,
      reset,
      map: (way) =>
        mapOf((name) =>
          (way === "direct" ? serverOf(name) : name === "a" ? gates.first : gates.second).url(name),
        ),
      [Symbol.asyncDispose]: () => held.disposeAsync(),
    };
  } catch (cause) {
    await stack.disposeAsync();
    throw cause;
  }
}

function mapOf(url: (name: Name) => string): string {
  return `
version: 1
catalog: a
databases:
${NAMES.map((name) => `  ${name}: { primary: ${url(name)} }`).join("\n")}
colocations:
  items:
    shard_key: integer
    function: range
    tables: { items: id }
    placements:
      - { ranges: [{ to: 1000 }], database: a }
      - { ranges: [{ from: 1000, to: 2000 }], database: b }
      - { ranges: [{ from: 2000 }], database: c }
`;
}
