/** `colonnade map diff`, as far as it asks no server that answers: what it says, and its exit codes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CommandResult, runCommand } from "../support/command.ts";

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-diff-"));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Changed {
  readonly version?: number;
  readonly home?: string;
  readonly tables?: string;
  readonly catalog?: string;
  readonly shards?: number;
}

function mapFile({
  version = 1,
  home = "users0",
  tables = "users: id",
  catalog = "main",
  shards = 4,
}: Changed): string {
  const path = join(directory, `${version}-${home}-${tables.length}-${catalog}-${shards}.yaml`);
  writeFileSync(
    path,
    `version: ${version}
catalog: ${catalog}
databases:
  main: { primary: "postgres://app@127.0.0.1:1/main" }
  users0: { primary: "postgres://app@127.0.0.1:1/users0" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: ${shards}
    tables: { ${tables} }
    placements: [{ shards: 0-${shards - 1}, database: ${home} }]
`,
  );
  return path;
}

async function diff(before: Changed, next: Changed, ...flags: string[]): Promise<CommandResult> {
  return await runCommand("map", "diff", mapFile(before), mapFile(next), ...flags);
}

test("two versions that do not follow each other may be compared, and the next number is told", async () => {
  for (const version of [1, 5]) {
    const far = await diff({ version: 1 }, { version, tables: "users: id, orders: user_id" });
    expect(far).toMatchObject({ code: 0, stderr: "" });
    expect(far.stdout).toContain(
      "at once, if it is yet to be made: table orders is listed in colocation users by user_id",
    );
    expect(far.stdout).toMatch(/to be published over version 1, \S+ has to say version: 2\n$/);
  }
  expect((await diff({ version: 1 }, { version: 2 })).stdout).not.toContain("to be published");
});

test("rows that have to move are told with the command that plans it", async () => {
  const moved = await diff({}, { version: 2, home: "main" });
  expect(moved.code).toBe(1);
  expect(moved.stdout).toContain("needs a migration: colocation users has logical shards 0-3");
  expect(moved.stderr).toBe(
    `colonnade: rows would have to move first: colonnade migrate plan --to ${mapFile({ version: 2, home: "main" })} --control URL\n`,
  );
});

test("a database that does not answer keeps rows from being counted, and nothing else from being told", async () => {
  const moved = await diff({}, { version: 2, home: "main" }, "--live");
  expect(moved.code).toBe(2);
  expect(moved.stdout).toContain("needs a migration: colocation users has logical shards 0-3");
  expect(moved.stderr).toContain("the rows that would have to move are not counted: ");
  expect(moved.stderr).toContain('could not connect to database "users0"');
});

test("a table that is listed no longer has to be dropped first, and no migration brings it back", async () => {
  const dropped = await diff(
    { tables: "users: id, orders: user_id" },
    { version: 2, tables: "users: id" },
  );
  expect(dropped.code).toBe(1);
  expect(dropped.stdout).toContain(
    "not while the table exists: table orders is no longer listed in colocation users by user_id",
  );
  expect(dropped.stderr).toContain("keep it listed, or DROP TABLE it through a proxy first");
});

test("another catalog database is reached by no migration, and what to do instead is told", async () => {
  const other = await diff({}, { version: 2, catalog: "users0" });
  expect(other.code).toBe(1);
  expect(other.stdout).toContain(
    "not by a migration: catalog is users0.public instead of main.public",
  );
  expect(other.stderr).toContain("no migration moves them. Keep `catalog` as it was; for another");
  expect(other.stderr).not.toContain("colonnade migrate plan");
});

test("another number of logical shards takes new placements, and a migration then", async () => {
  const same = await diff({}, { version: 2, shards: 8 });
  expect(same.code).toBe(1);
  expect(same.stderr).toContain("users0.public cannot take them while serving them");
  expect(same.stderr).not.toContain("colonnade migrate plan");
  const elsewhere = await diff({}, { version: 2, shards: 8, home: "main" });
  expect(elsewhere.code).toBe(1);
  expect(elsewhere.stdout).toContain("needs a migration: colocation users has another shard key");
  expect(elsewhere.stderr).toContain("colonnade migrate plan --to");
});
