/**
 * Files full of sessions and transactions, said to a plain PostgreSQL and to the proxy, with
 * all tables in one placement and over several: the transcripts are the same, but for the
 * differences of `differences.yaml`.
 */
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { startTestProxy } from "../../support/proxy.ts";
import type { TestProxy } from "../../support/proxy.ts";
import { startServers, WHOLE_RESET, WHOLE_SCHEMA } from "../servers.ts";
import type { Servers } from "../servers.ts";
import { chunksOf } from "./chunks.ts";
import { differencesBetween, isListed, readDifferences } from "./differences.ts";
import { transcriptOf } from "./transcript.ts";

const directory = new URL("sql/", import.meta.url);
const files = readdirSync(directory).toSorted();
const listed = readDifferences(readFileSync(new URL("differences.yaml", import.meta.url), "utf8"));
const occurred = new Set<(typeof listed)[number]>();
const compared = new Set<string>();

let servers: Servers;
let one: TestProxy;

beforeAll(async () => {
  servers = await startServers();
  const { first } = servers;
  await first.query("postgres", "CREATE DATABASE one");
  await first.query("one", WHOLE_SCHEMA);
  one = await startTestProxy(`
version: 1
catalog: one
databases:
  one: { primary: ${first.url("one")} }
colocations:
  accounts:
    shard_key: bigint
    function: hash
    logical_shards: 4
    tables: { accounts: id, entries: account, late: account, things: id }
    placements:
      - { shards: 0-3, database: one }
reference_tables: [countries]
unlisted_tables: catalog
`);
});
afterAll(async () => {
  await one[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});

test.each(files)("%s", async (file) => {
  const chunks = chunksOf(readFileSync(new URL(file, directory), "utf8"));
  await servers.reset();
  await servers.first.query("one", WHOLE_RESET);
  const plain = await transcriptOf(chunks, () => servers.connectPlain());
  const found = [
    ...differencesBetween(file, "one", plain, await transcriptOf(chunks, () => one.connect())),
    ...differencesBetween(
      file,
      "several",
      plain,
      await transcriptOf(chunks, () => servers.proxy.connect()),
    ),
  ];
  compared.add(file);
  const unlisted = found.filter((difference) => {
    const entry = listed.find((each) => isListed(difference, each));
    if (entry !== undefined) occurred.add(entry);
    return entry === undefined;
  });
  expect(unlisted.length === 0 ? "" : stringify(unlisted, { lineWidth: 0 })).toBe("");
});

test("what is listed still differs", () => {
  const expected = listed.filter(({ file }) => compared.has(file));
  expect(expected.filter((difference) => !occurred.has(difference))).toEqual([]);
  for (const { because } of listed) expect(because.length).toBeGreaterThan(20);
});
