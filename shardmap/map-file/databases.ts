/** Reads the `databases` of a map file: each a server of ours to run, or URLs of one that runs. */
import { type DatabaseName, databaseName } from "../../base/ids.ts";
import type { DatabaseEntry } from "../shard-map.ts";
import { databaseFile } from "./format.ts";
import { checkPlainName } from "./names.ts";
import {
  type DocumentProblem,
  type FieldPath,
  type ProblemList,
  quoted,
} from "../../base/document/problems.ts";

/** Why a URL cannot be used, as whoever connects reads it; undefined where it can. */
export type UrlProblem = Pick<DocumentProblem, "message" | "remedy"> | undefined;

interface Urls {
  readonly problems: ProblemList;
  readonly problemOf: (url: string) => UrlProblem;
  /** Server and database to the field that names it first: two names for one database would count its rows twice. */
  readonly places: Map<string, string>;
}

export function readDatabases(
  entries: Readonly<Record<string, unknown>>,
  problems: ProblemList,
  problemOf: (url: string) => UrlProblem,
): ReadonlyMap<DatabaseName, DatabaseEntry> {
  const databases = new Map<DatabaseName, DatabaseEntry>();
  const urls: Urls = { problems, problemOf, places: new Map() };

  for (const [name, entry] of Object.entries(entries)) {
    const path = ["databases", name];
    checkPlainName("database", name, path, problems);
    const server = readServer(entry, path, urls);
    if (server !== undefined)
      databases.set(databaseName(name), { name: databaseName(name), server });
  }
  if (Object.keys(entries).length === 0) {
    problems.report(
      ["databases"],
      "there is no database",
      'Add one: `main: { primary: "postgres://..." }`.',
    );
  }
  return databases;
}

function readServer(
  entry: unknown,
  path: FieldPath,
  urls: Urls,
): DatabaseEntry["server"] | undefined {
  const { problems } = urls;
  const parsed = databaseFile.safeParse(entry);
  if (!parsed.success) return undefined;
  const { primary, replicas = [], embedded = false } = parsed.data;

  if (primary !== undefined) checkUrl(primary, [...path, "primary"], urls);
  for (const [index, url] of replicas.entries()) checkUrl(url, [...path, "replicas", index], urls);

  if (embedded && primary !== undefined) {
    problems.report(
      [...path, "embedded"],
      "a database has `primary` or `embedded: true`, not both",
      "Keep `primary` for a server that runs already, `embedded: true` for one that `colonnade dev` runs.",
      "name",
    );
  }
  if (embedded && replicas.length > 0) {
    problems.report(
      [...path, "replicas"],
      "an embedded database has no replicas",
      "Remove `replicas`.",
      "name",
    );
  }
  if (embedded) return { kind: "embedded" };
  if (primary === undefined) {
    problems.report(
      path,
      "the database has neither `primary` nor `embedded: true`",
      'Add its URL: `primary: "postgres://user@host:5432/database"`.',
    );
    return undefined;
  }
  return { kind: "url", primary, replicas };
}

/** Messages never show a URL: it may hold a password. */
function checkUrl(text: string, path: FieldPath, { problems, problemOf, places }: Urls): void {
  const reject = (message: string): void =>
    problems.report(path, message, "Write postgres://user@host:5432/database.");
  const url = URL.parse(text);
  if (url === null) return reject("the URL cannot be read");
  if (url.protocol !== "postgres:" && url.protocol !== "postgresql:") {
    return reject(`a URL of a database begins with postgres://, not ${url.protocol}//`);
  }
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) {
    problems.report(
      path,
      "the URL has a percent sign that starts no encoded character",
      "Write %25 for a percent sign.",
    );
    return;
  }
  const host = url.hostname === "" ? (url.searchParams.get("host") ?? "") : url.hostname;
  if (host === "") return reject("the URL names no host");
  if (url.pathname === "" || url.pathname === "/") return reject("the URL names no database");
  const problem = problemOf(text);
  if (problem !== undefined) {
    problems.report(path, problem.message, problem.remedy);
    return;
  }

  const port = url.port === "" ? (url.searchParams.get("port") ?? "5432") : url.port;
  const place = `${host.toLowerCase()} ${port} ${url.pathname}`;
  const first = places.get(place);
  const field = path.slice(1).join(".");
  if (first === undefined) places.set(place, field);
  else {
    problems.report(
      path,
      `host, port and database are those of ${quoted(first)} too`,
      "Each database and replica stands once: two names for one would count its rows twice.",
    );
  }
}
