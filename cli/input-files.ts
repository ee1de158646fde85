/** The files that commands are given: the shard map, the configuration, SQL. Each failure is one that a person can act on. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { type Config, DEFAULT_CONFIG, parseConfig } from "../proxy/config/config.ts";
import { type DocumentProblem, printProblem } from "../base/document/problems.ts";
import { SqlError } from "../base/sql-error.ts";
import { parseBackendAddress } from "../proxy/backend/backend-address.ts";
import type { UrlProblem } from "../shardmap/map-file/databases.ts";
import { parseShardMap } from "../shardmap/schema.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { reportConfigFiles, withWholePaths } from "./config-files.ts";
import { CommandFailure, reasonOf } from "./failure.ts";

/** `what` names the file's role: `map`, `config`. */
export function readInput(path: string, what: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new CommandFailure(`cannot read ${what} ${path}: ${reasonOf(cause)}`, 2, { cause });
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CommandFailure(`cannot read ${what} ${path}: it is not UTF-8 text`, 2, { cause });
  }
}

export type MapFile =
  | { readonly kind: "valid"; readonly map: ShardMap }
  | { readonly kind: "invalid"; readonly problems: readonly DocumentProblem[] };

export function readMap(path: string): MapFile {
  return readMapText(readInput(path, "map"), path);
}

/** `path` is what its problems name. */
export function readMapText(text: string, path: string): MapFile {
  return mapFile(parseShardMap(text, path, problemOfUrl));
}

/** Of a text that is published: whether its URLs can be used is not asked any more. */
export function readPublishedMap({
  yaml,
  version,
}: {
  readonly yaml: string;
  readonly version: number;
}): MapFile {
  return mapFile(parseShardMap(yaml, `version ${version}`));
}

/** As the proxy will read it. */
function problemOfUrl(url: string): UrlProblem {
  try {
    parseBackendAddress(url);
    return undefined;
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    return { message: error.message, remedy: error.hint ?? "Correct the URL." };
  }
}

function mapFile(result: ReturnType<typeof parseShardMap>): MapFile {
  if ("map" in result) return { kind: "valid", map: result.map };
  return { kind: "invalid", problems: result.problems };
}

/** For the commands that cannot go on with a map that has problems. */
export function requireMap(path: string): ShardMap {
  return mapOf(readMap(path));
}

/** As requireMap's. */
export function mapOf(file: MapFile): ShardMap {
  if (file.kind === "valid") return file.map;
  throw new CommandFailure(file.problems.map(printProblem).join("\n"));
}

/** With the files it names: their paths are whole, and each can be used. */
export function requireConfig(path: string | undefined): Config {
  if (path === undefined) return DEFAULT_CONFIG;
  const result = parseConfig(readInput(path, "config"), path);
  if ("config" in result) {
    const config = withWholePaths(result.config, dirname(path));
    reportConfigFiles(config, result.further);
    if (result.further.isEmpty) return config;
  }
  const problems = "config" in result ? result.further.inOrder() : result.problems;
  throw new CommandFailure(problems.map(printProblem).join("\n"));
}
