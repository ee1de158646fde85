/**
 * A map of many schemas goes to another database in waves: each a migration of its own, with its own cutover, while
 * clients write. COLONNADE_FULL=1 takes 24 schemas in waves of 8.
 */
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { IS_FULL_RUN } from "../support/run-mode.ts";
import { requireDone, startServed } from "./served.ts";
import type { Served, ServedProxy } from "./served.ts";

const [SHARDS, SIZE] = IS_FULL_RUN ? [24, 8] : [4, 2];
const ROWS = 1_000;

function placementsIn(database: string): readonly string[] {
  return Array.from(
    { length: SHARDS },
    (_, shard) => `shards: ${shard}, database: ${database}, schema: schema_${shard}`,
  );
}

function schemaOf(shard: number): string {
  const schema = `schema_${shard}`;
  return `CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.users (LIKE public.users INCLUDING ALL);
CREATE TABLE ${schema}.orders (LIKE public.orders INCLUDING ALL, FOREIGN KEY (user_id) REFERENCES ${schema}.users);`;
}

interface PlannedWave {
  readonly file: string;
  readonly version: number;
  readonly migration: string;
  readonly placements: number;
}

test("all schemas of a database go to another one in waves, and no write is lost", async () => {
  const more = Array.from({ length: SHARDS }, (_, shard) => schemaOf(shard)).join("\n");
  const first = { users: placementsIn("users0"), shards: SHARDS, more, invoices: "main" };
  await using fleet = await startServed(1, first);
  const [proxy] = fleet.proxies as [ServedProxy];
  const client = await proxy.connect();
  await client.query(`INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, ${ROWS}) i`);

  const next = fleet.mapFile(2, { ...first, users: placementsIn("users1") });
  const out = join(dirname(next), "waves");
  const asked = ["waves", "--to", next, "--size", String(SIZE), "--out", out];
  const dry = requireDone(await fleet.migrate(...asked, "--dry-run", "--json"));
  const told = requireDone(await fleet.migrate(...asked, "--json"));
  expect(told).toBe(dry);
  // Written once more, it is the same; with another size, it would be other maps.
  requireDone(await fleet.migrate(...asked));
  const other = await fleet.migrate(...asked.with(4, String(SIZE - 1)));
  expect(other).toMatchObject({ code: 1, stderr: expect.stringContaining("is there already") });
  const { maps } = JSON.parse(told) as { readonly maps: readonly PlannedWave[] };
  expect(maps.map(({ placements }) => placements)).toEqual(
    Array.from({ length: SHARDS / SIZE }, () => SIZE),
  );

  const writing = startWriting(proxy);
  for (const wave of maps) await carriedOut(fleet, wave);
  const acknowledged = await writing.stop();
  const { rows } = await client.query("SELECT id::int AS id FROM users WHERE id > $1 ORDER BY id", [
    ROWS,
  ]);
  expect(rows.map(({ id }: { readonly id: number }) => id)).toEqual(acknowledged);
  expect(
    (await client.query(`SELECT count(*)::int AS n FROM users WHERE id <= ${ROWS}`)).rows,
  ).toEqual([{ n: ROWS }]);
  const left = await fleet.data.query(
    "users0",
    "SELECT count(*)::int AS n FROM pg_tables WHERE schemaname LIKE 'schema\\_%'",
  );
  expect(left.rows).toEqual([{ n: 0 }]);
  await client.end();
});

async function carriedOut(fleet: Served, { file, migration }: PlannedWave): Promise<void> {
  requireDone(await fleet.migrate("plan", "--to", file));
  const run = fleet.start("migrate", "start", migration);
  await run.untilPrinted(": ready (");
  requireDone(await fleet.migrate("cutover", migration));
  requireDone(await fleet.migrate("complete", migration));
  expect((await run.finished).code).toBe(0);
}

interface Writing {
  /** Ids that were acknowledged. */
  stop(): Promise<readonly number[]>;
}

/** One row after the other; any refusal fails the test, as a cutover refuses nothing. */
function startWriting(proxy: ServedProxy): Writing {
  const over = new AbortController();
  const writing = (async () => {
    const client = await proxy.connect();
    const acknowledged: number[] = [];
    for (let id = ROWS + 1; !over.signal.aborted; id += 1) {
      await client.query("INSERT INTO users VALUES ($1, 'new')", [id]);
      acknowledged.push(id);
    }
    await client.end();
    return acknowledged;
  })();
  // Looked at when it is stopped.
  writing.catch(() => undefined);
  return {
    stop: async () => {
      over.abort();
      return await writing;
    },
  };
}
