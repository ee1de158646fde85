/** `colonnade migrate waves`: what it refuses, and that it writes nothing then. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CommandResult, runCommand } from "../support/command.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const SHARDS = 12;
const DATABASES = ["main", "users0", "users1"];

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-waves-"));
  server = await startPostgres({ databases: DATABASES });
  await server.query("main", "CREATE TABLE users (id bigint PRIMARY KEY)");
  for (let shard = 0; shard < SHARDS; shard += 1)
    await server.query(
      "users0",
      `CREATE SCHEMA schema_${shard}; CREATE TABLE schema_${shard}.users (id bigint PRIMARY KEY)`,
    );
  requireDone(await run("control", "init"));
});

afterAll(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** As many schemas as shards, all in `database`; `more` are other fields of the map. */
function mapFile(version: number, database: string, more = ""): string {
  const path = join(directory, `map-${version}-${database}-${more.length}.yaml`);
  const placements = Array.from(
    { length: SHARDS },
    (_, shard) => `      - { shards: ${shard}, database: ${database}, schema: schema_${shard} }`,
  );
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
    logical_shards: ${SHARDS}
    tables: { users: id }
    placements:
${placements.join("\n")}
${more}`,
  );
  return path;
}

async function run(...words: readonly string[]): Promise<CommandResult> {
  return await runCommand(...words, "--control", server.url("main"));
}

function requireDone({ code, stderr }: CommandResult): void {
  if (code !== 0) throw new Error(stderr);
}

async function waves(to: string, size: number, out: string): Promise<CommandResult> {
  return await run("migrate", "waves", "--to", to, "--size", String(size), "--out", out);
}

/** The exit code and what is said; nothing is printed otherwise. */
async function refused(...asked: Parameters<typeof waves>): Promise<readonly [unknown, string]> {
  const { code, stdout, stderr } = await waves(...asked);
  expect(stdout).toBe("");
  return [code, stderr];
}

test("where no map is in force, or nothing can move, nothing is written", async () => {
  const out = join(directory, "nothing");
  const all = mapFile(2, "users1");
  expect(await refused(all, 4, out)).toEqual([
    1,
    "colonnade: no shard map is published yet: colonnade map publish FILE\n",
  ]);
  requireDone(await run("map", "publish", mapFile(1, "users0"), "--no-wait"));
  expect(await refused(mapFile(2, "users0"), 4, out)).toEqual([
    1,
    "colonnade: from version 1 to version 2, no rows have to move\n",
  ]);
  const unlisted = mapFile(2, "users1", "reference_tables: [users_by_name]");
  await server.query("main", "CREATE TABLE users_by_name (name text PRIMARY KEY)");
  const [code, said] = await refused(unlisted, 4, out);
  expect(code).toBe(1);
  expect(said).toContain("colonnade: from version 1 to version 2, this cannot be moved:\n  ");
  expect(said).toContain("users_by_name");
  const broken = mapFile(2, "users1", "colour: red");
  expect(await refused(broken, 4, out)).toEqual([
    2,
    expect.stringContaining("colour: unknown field"),
  ]);
  const file = join(directory, "file");
  writeFileSync(file, "");
  expect(await refused(all, 4, join(file, "waves"))).toEqual([
    2,
    `colonnade: cannot write to ${join(file, "waves")}: a part of its path is not a directory\n`,
  ]);
  expect(existsSync(out)).toBe(false);
});

test("a directory that has waves of another cut is left as it is", async () => {
  const out = join(directory, "waves");
  const to = mapFile(2, "users1");
  requireDone(await waves(to, 6, out));
  expect(readdirSync(out)).toEqual(["wave-1.yaml", "wave-2.yaml"]);
  // Twelve waves are numbered with two digits: their names would not meet these.
  const inTheWay = `colonnade: ${join(out, "wave-1.yaml")} is there already, with another map: name another directory\n`;
  expect(await refused(to, 1, out)).toEqual([1, inTheWay]);
  const dry = ["migrate", "waves", "--to", to, "--size", "1", "--out", out, "--dry-run"];
  expect(await run(...dry)).toEqual({ code: 1, stdout: "", stderr: inTheWay });
  expect(readdirSync(out)).toEqual(["wave-1.yaml", "wave-2.yaml"]);

  rmSync(join(out, "wave-1.yaml"));
  writeFileSync(join(out, "wave-2.yaml"), `${readFileSync(to, "utf8")}# Mine.\n`);
  expect(await refused(to, 6, out)).toEqual([1, inTheWay.replace("wave-1", "wave-2")]);
  expect(readdirSync(out)).toEqual(["wave-2.yaml"]);
});
