/** The files that people copy: each is read by the product's own readers. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { DEFAULT_CONFIG, parseConfig } from "../../proxy/config/config.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { loadParser, parseSql } from "../../planner/parse.ts";
import { ROOT } from "../tidy/sources.ts";

function text(...path: readonly string[]): string {
  return readFileSync(join(ROOT, "deploy", ...path), "utf8");
}

function mapOf(...path: readonly string[]) {
  const result = parseShardMap(text(...path), path.join("/"));
  if ("problems" in result) throw new Error(JSON.stringify(result.problems, undefined, 2));
  return result.map;
}

const MAPS = [
  ["dev", "map.yaml"],
  ["compose", "map.yaml"],
  ...readdirSync(join(ROOT, "deploy", "maps")).map((name) => ["maps", name]),
];

test.each(MAPS)("deploy/%s/%s is a map", (...path) => {
  expect(mapOf(...path).version).toBeGreaterThan(0);
});

test("the sample has what the issue of trying it needs", () => {
  const map = mapOf("dev", "map.yaml");
  expect([...map.databases.values()].map(({ server }) => server.kind)).toEqual(
    Array.from({ length: 4 }, () => "embedded"),
  );
  const users = map.colocations.get("users");
  expect(new Set(users?.placements.map(({ database }) => database)).size).toBe(4);
  expect(users?.placements.some(({ schema }) => schema !== "public")).toBe(true);
  expect([...map.colocations.keys()]).toEqual(["users", "workspaces"]);
  expect([...map.referenceTables]).toEqual(["countries"]);
  expect(map.groups.get("billing")?.tables).toEqual(["invoices", "payments"]);
});

test("the sample's tables are those of its map", async () => {
  await loadParser();
  const outcome = parseSql(text("dev", "schema.sql"));
  if (outcome.kind !== "statements") throw new Error(outcome.kind);
  const created = outcome.statements.flatMap(({ node }) =>
    "CreateStmt" in node ? [node.CreateStmt.relation?.relname] : [],
  );
  expect(new Set(created)).toEqual(new Set(mapOf("dev", "map.yaml").tables.keys()));
  expect(parseSql(text("dev", "data.sql")).kind).toBe("statements");
});

test("the compose file's services are the hosts of its map, and its ports the config's", () => {
  const compose = parse(text("compose", "compose.yaml"), { merge: true }) as {
    readonly services: Readonly<Record<string, { readonly ports?: readonly string[] }>>;
  };
  const config = parseConfig(text("compose", "config.yaml"), "config.yaml");
  expect(config).toMatchObject({ config: { auth: { method: "scram-sha-256" } } });
  for (const { name, server } of mapOf("compose", "map.yaml").databases.values()) {
    if (server.kind !== "url") throw new Error(`${name} is not a URL`);
    expect(Object.keys(compose.services)).toContain(new URL(server.primary).hostname);
  }
  const { listen, admin } = DEFAULT_CONFIG;
  expect(compose.services["colonnade"]?.ports).toEqual([
    `127.0.0.1:${listen.port}:${listen.port}`,
    `127.0.0.1:${admin.port}:${admin.port}`,
  ]);
});

test("the image copies every folder of the product, and runs a command that exists", () => {
  const dockerfile = text("Dockerfile");
  const build = JSON.parse(readFileSync(join(ROOT, "tsconfig.build.json"), "utf8")) as {
    readonly include: readonly string[];
  };
  const folders = build.include.filter((folder) => existsSync(join(ROOT, folder, ".")));
  for (const folder of folders.filter((name) => readdirSync(join(ROOT, name)).length > 0))
    expect(dockerfile).toContain(`COPY ${folder} ${folder}\n`);
  expect(dockerfile).toMatch(/^USER node$/m);
});
