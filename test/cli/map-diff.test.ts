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
}

function mapFile({ version = 1, home = "users0", tables = "users: id" }: Changed): string {
  const path = join(directory, `${version}-${home}-${tables.length}.yaml`);
  writeFileSync(
    path,
    `version: ${version}
catalog: main
databases:
  main: { primary: "postgres://app@127.0.0.1:1/main" }
  users0: { primary: "postgres://app@127.0.0.1:1/users0" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 4
    tables: { ${tables} }
    placements: [{ shards: 0-3, database: ${home} }]
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
    expect(far.stdout).toContain("at once: table orders is listed in colocation users by user_id");
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
