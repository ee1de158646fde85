/** Maps that ask for more than a map can do: what `map diff --live` and `map publish` say of them, and of what to do. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type CommandResult, runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const DATABASES = ["main", "users0", "users1"];

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-refused-"));
  const settings = { max_prepared_transactions: "10" };
  server = await startPostgres({ databases: DATABASES, settings });
  for (const database of DATABASES)
    await server.query(database, "CREATE TABLE users (id bigint PRIMARY KEY, name text)");
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

beforeEach(async () => {
  await server.query("main", "DROP SCHEMA IF EXISTS colonnade CASCADE");
  await control("control", "init");
});

function mapFile(version: number, tables = "users: id"): string {
  const path = join(directory, `map-${version}.yaml`);
  writeFileSync(
    path,
    `version: ${version}
catalog: main
databases:
${DATABASES.map((name) => `  ${name}: { primary: "${server.url(name)}" }`).join("\n")}
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 8
    tables: { ${tables} }
    placements:
      - { shards: 0-3, database: users0 }
      - { shards: 4-7, database: users1 }
`,
  );
  return path;
}

async function control(...words: readonly string[]): Promise<CommandResult> {
  return await runCommand(...words, "--control", server.url("main"));
}

test("a table that is there is not listed at once, and diff and publish say the same of it", async () => {
  const old = mapFile(1);
  await control("map", "publish", old);
  const next = mapFile(2, "users: id, orders: user_id");
  const absent = await runCommand("map", "diff", old, next, "--live");
  expect(absent).toMatchObject({ code: 0 });
  expect(absent.stdout).toContain("  at once: table orders is listed in colocation users by");
  await server.query("main", "CREATE TABLE orders (user_id bigint PRIMARY KEY)");
  try {
    const change =
      "table orders is listed in colocation users by user_id, and is in the catalog database already";
    const diff = await runCommand("map", "diff", old, next, "--live");
    expect(diff).toMatchObject({ code: 1 });
    expect(diff.stdout).toContain(`  needs a migration: ${change}\n`);
    const plan = `colonnade migrate plan --to ${next} --control URL`;
    expect(diff.stderr).toBe(`colonnade: rows would have to move first: ${plan}\n`);
    const refused = await control("map", "publish", next);
    expect(refused).toMatchObject({ code: 1 });
    // Nobody is to make by hand what the migration makes.
    expect(refused.stderr).toBe(
      `colonnade: ${next} is not published:\n  ${change}: rows would have to move first\n  to move the rows: ${plan}\n`,
    );
    const planned = await control("migrate", "plan", "--to", next, "--dry-run");
    expect(planned.stdout).toContain("shard_users  horizontal  main  users0, users1");
    expect(planned.stdout).not.toContain("table orders is listed");
  } finally {
    await server.query("main", "DROP TABLE orders");
  }
});

test("a map with another catalog database or number of shards is refused with what it could say", async () => {
  await control("map", "publish", mapFile(1));
  const path = mapFile(2);
  const text = readFileSync(path, "utf8");
  for (const [changed, instead] of [
    [text.replace("catalog: main", "catalog: users0"), "no migration moves them. Keep `catalog`"],
    [
      text.replace("logical_shards: 8", "logical_shards: 16").replace("4-7", "4-15"),
      "users0.public, users1.public cannot take them while serving them. Give the colocation",
    ],
  ] as const) {
    writeFileSync(path, changed);
    const refused = await control("map", "publish", path);
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain(instead);
    expect(refused.stderr).not.toContain("colonnade migrate plan");
  }
});
