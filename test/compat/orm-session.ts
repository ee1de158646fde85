/**
 * One session of an ORM, run twice: on one PostgreSQL, and through the proxy with its
 * tables sharded. Each step gives the same on both sides.
 *
 * An ORM makes the tables itself, as its users have it do. All of them make the same ones:
 * users, their posts and the posts' comments are colocated by the user's id; countries are
 * a reference table; the ORM's own tables (of migrations) are not in the map.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";
import { startTestProxy } from "../support/proxy.ts";
import type { TestProxy } from "../support/proxy.ts";

/** The catalog database, and of the plain server the only one: introspection shows its name. */
const CATALOG = "main";
const FEATURE_NOT_SUPPORTED = "0A000";
const DATABASES = [CATALOG, "east", "west"];

export interface Orm<T> {
  readonly open: (url: string) => Promise<T> | T;
  readonly close: (orm: T) => Promise<unknown>;
}

/** What a client of the ORM does; what it gives is compared. */
export type Steps<T> = Readonly<Record<string, (orm: T) => Promise<unknown>>>;

/** `refused`: what the proxy must refuse, although one PostgreSQL answers. */
export function ormSession<T>(
  name: string,
  { open, close }: Orm<T>,
  steps: Steps<T>,
  refused: Steps<T> = {},
): void {
  describe.for([name])("%s", () => {
    let one: TestPostgres;
    let server: TestPostgres;
    let proxy: TestProxy;
    let plain: T;
    let sharded: T;
    beforeAll(async () => {
      one = await startPostgres({ databases: [CATALOG] });
      server = await startPostgres({
        databases: DATABASES,
        settings: { max_prepared_transactions: "20" },
      });
      await server.query("west", "CREATE SCHEMA shard_b");
      proxy = await startTestProxy(mapYaml((database) => server.url(database)));
      plain = await open(one.url(CATALOG));
      sharded = await open(proxy.url(CATALOG));
    });
    afterAll(async () => {
      if (sharded !== undefined) await close(sharded);
      if (plain !== undefined) await close(plain);
      await proxy?.stop();
      await server?.stop();
      await one?.stop();
    });

    test.for(Object.entries(steps))("%s", async ([, step]) => {
      const expected = await step(plain);
      expect(await step(sharded)).toEqual(expected);
    });

    test.for(Object.entries(refused))("refused: %s", async ([, step]) => {
      expect(await failureOf(step(sharded))).toMatchObject({ code: FEATURE_NOT_SUPPORTED });
    });

    test("the rows are spread over the placements", async () => {
      const counts = await Promise.all(
        [
          ["main", "public"],
          ["east", "public"],
          ["west", "public"],
          ["west", "shard_b"],
        ].map(async ([database = "", schema = ""]) => {
          const { rows } = await server.query(
            database,
            `SELECT count(*)::int AS n FROM ${schema}.users`,
          );
          return rows[0]?.["n"];
        }),
      );
      expect(counts.filter((count) => Number(count) > 0).length).toBeGreaterThan(1);
    });
  });
}

function mapYaml(urlOf: (database: string) => string): string {
  const databases = DATABASES.map(
    (name) => `  ${name}: { primary: ${JSON.stringify(urlOf(name))} }`,
  );
  return `version: 1
catalog: main
databases:
${databases.join("\n")}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 16
    tables: { users: id, posts: user_id, comments: user_id }
    placements:
      - { shards: 0-3, database: main }
      - { shards: 4-7, database: east }
      - { shards: 8-11, database: west }
      - { shards: 12-15, database: west, schema: shard_b }
reference_tables: [countries]
unlisted_tables: catalog
`;
}

/** A failure as the client sees it, for steps that must fail alike. */
export async function failureOf(attempt: Promise<unknown>): Promise<Record<string, unknown>> {
  try {
    await attempt;
  } catch (error) {
    const { code, constraint, table, message } = lastCause(error) as Record<string, unknown>;
    return { code, constraint, table, message };
  }
  return { code: "none" };
}

/** ORMs wrap the driver's error. */
function lastCause(error: unknown): unknown {
  for (const name of ["cause", "original", "driverError"]) {
    const inner = (error as Record<string, unknown> | undefined)?.[name];
    if (inner !== undefined && inner !== null) return lastCause(inner);
  }
  return error;
}
