/** A map, a schema and a workload in a directory of their own, for tests of `colonnade analyze`. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { observeLog } from "../../../cli/analyze/log-file.ts";
import type { Observation, Observed, Unread } from "../../../cli/analyze/observation.ts";
import { catalogFromSql } from "../../../planner/catalog-from-sql.ts";
import type { PlanContext } from "../../../planner/plan-context.ts";
import { parseShardMap } from "../../../shardmap/schema.ts";

export const SCHEMA = `
CREATE TABLE users (id bigint PRIMARY KEY, name text, country text);
CREATE TABLE orders (user_id bigint, id bigint, total numeric, placed_at timestamptz, PRIMARY KEY (user_id, id));
CREATE TABLE carts (user_id bigint PRIMARY KEY, items int);
CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE events (id uuid PRIMARY KEY, what text);
`;

export const MAP = `
version: 1
catalog: main
databases:
  main: { primary: "postgres://app@127.0.0.1/main" }
  users0: { primary: "postgres://app@127.0.0.1/users0" }
  users1: { primary: "postgres://app@127.0.0.1/users1" }
colocations:
  users:
    shard_key: bigint
    function: hash
    logical_shards: 16
    tables: { users: id, orders: user_id }
    placements:
      - { shards: 0-7, database: users0 }
      - { shards: 8-15, database: users1 }
reference_tables: [countries]
unlisted_tables: catalog
`;

/** Of nothing but its databases: where a suggestion starts from. */
export const EMPTY_MAP = `${MAP.slice(0, MAP.indexOf("colocations:"))}unlisted_tables: catalog\n`;

export function sampleContext(map: string = MAP, schema: string = SCHEMA): PlanContext {
  const parsed = parseShardMap(map, "map.yaml");
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return {
    map: parsed.map,
    catalog: catalogFromSql(schema, { schema: "public", isByteOrder: true }),
    searchPath: ["$user", "public"],
    parameterTypes: [],
    user: "postgres",
  };
}

export class SampleFiles implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "colonnade-analyze-"));

  path(name: string): string {
    return join(this.#directory, name);
  }

  write(name: string, content: string | Buffer): string {
    writeFileSync(this.path(name), content);
    return this.path(name);
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export function observation(sql: string, more: Partial<Observation> = {}): Observed {
  const told = { timeMs: undefined, session: undefined, transaction: undefined, place: "test:1" };
  return { kind: "statement", statement: { sql, calls: 1, ...told, ...more } };
}

/** What a log of this content tells. */
export async function readLog(
  content: string | Buffer,
  prefix?: string,
): Promise<{ readonly statements: readonly Observation[]; readonly unread: readonly Unread[] }> {
  using files = new SampleFiles();
  const statements: Observation[] = [];
  const unread: Unread[] = [];
  for await (const observed of observeLog(files.write("log", content), prefix)) {
    if (observed.kind === "statement") statements.push(observed.statement);
    else unread.push(observed.unread);
  }
  return { statements, unread };
}
