/**
 * Whether a map may take another's place at once: what the two say of each other, and what
 * the next map's databases say of it. It changes nothing.
 */
import { isDeepStrictEqual } from "node:util";
import { BACKEND_CONNECT_TIMEOUT_MS, LAST_LOOK_TIMEOUT_MS } from "../base/limits.ts";
import { invariant } from "../base/invariant.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { homesOf } from "../planner/ddl/table-homes.ts";
import { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { backendAddresses } from "../proxy/topology/backend-addresses.ts";
import { isSameDatabase } from "../proxy/topology/database-identity.ts";
import { RECORDS } from "../proxy/topology/live-check.ts";
import type { LiveFinding } from "../proxy/topology/live-check.ts";
import { rowsLeftBehind } from "../shardmap/diff.ts";
import { mapChanges, printChange } from "../shardmap/map-changes.ts";
import type { MapChange } from "../shardmap/map-changes.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { reasonAndRemedy } from "./failure.ts";
import {
  findLiveProblems,
  printFinding,
  readIdentities,
  readLiveCatalog,
} from "./live-databases.ts";
import type { ReadIdentities } from "./live-databases.ts";
import { leftTables, newlyRefused } from "./unlisted-tables.ts";

type Identities = ReadIdentities["identities"];

export interface Publication {
  /** Sentences; empty where it may be published. */
  readonly problems: readonly string[];
  /** What `check --live` warns of: it may be published all the same. */
  readonly warnings: readonly string[];
  readonly identities: Identities;
  readonly changes: readonly MapChange[];
}

/** `before` and its databases' identities are undefined for the first map. */
export async function checkPublication(
  before: ShardMap | undefined,
  known: Identities | undefined,
  next: ShardMap,
): Promise<Publication> {
  const findings = await findLiveProblems(next);
  if (findings.some(({ object }) => object === "server"))
    return {
      problems: findings.map(printFinding),
      warnings: [],
      identities: {},
      changes: before === undefined ? [] : mapChanges(before, next),
    };
  const catalog = await readLiveCatalog(next);
  const canonical = catalog.relations.get(next.canonicalSchema);
  const exists = (table: string): boolean => canonical?.has(table) === true;
  const yetToBeMade = new Set(
    [...next.tables.keys()]
      .filter((table) => !exists(table))
      .map((table) => `${next.canonicalSchema}.${table}`),
  );
  const changes = before === undefined ? [] : mapChanges(before, next, exists);
  const behind = before === undefined ? [] : leftBehind(before, next, changes, exists);
  const filled = before === undefined || behind.length === 0 ? undefined : newPlaces(before, next);
  const told = findings.filter(
    ({ database, object }) =>
      // A table is listed first and created next, through the proxy.
      (database !== next.catalog || !yetToBeMade.has(object)) &&
      // What a migration fills, it makes.
      filled?.has(`${database}: ${object}`) !== true,
  );
  const forbids = ({ severity, object, database }: LiveFinding): boolean =>
    severity === "error" || (object === RECORDS && isNewUrl(before, next, database));
  const live = told.filter(forbids).map(printFinding);
  const warnings = told.filter((finding) => !forbids(finding)).map(printFinding);
  const { identities, unread } = await readIdentities(backendAddresses(next));
  const left = before && (await leftTables(before, next));
  const problems = [
    ...live,
    ...unread,
    ...(await ownedTwice(next, identities)),
    ...otherDatabases(known ?? {}, identities),
    ...(left?.unread ?? []),
    ...behind,
    ...[...(left?.homes ?? [])]
      .filter(([table]) => !exists(table))
      .map(
        ([table, home]) =>
          `table "${table}" is no longer listed, and is gone from the catalog database alone: its rows are in ${home} still. Drop it there, too, or keep it listed`,
      ),
  ];
  const refused = before && (await newlyRefused(before, next, catalog));
  if (refused?.warning !== undefined) warnings.push(refused.warning);
  if (refused?.problem !== undefined) problems.push(refused.problem);
  return {
    problems: [...new Set(problems)],
    warnings: [...new Set(warnings)],
    identities,
    changes,
  };
}

/** What is a warning of a database in use is a reason not to begin with it. */
function isNewUrl(
  before: ShardMap | undefined,
  next: ShardMap,
  database: LiveFinding["database"],
): boolean {
  const known = before?.databases.get(database)?.server;
  return known !== undefined && !isDeepStrictEqual(known, next.databases.get(database)?.server);
}

function leftBehind(
  before: ShardMap,
  next: ShardMap,
  changes: readonly MapChange[],
  exists: (table: string) => boolean,
): readonly string[] {
  const left = changes.flatMap((change) => {
    const reason = change.instead ?? REASONS[change.needs];
    return reason === undefined ? [] : [`${printChange(change)}: ${reason}`];
  });
  return left.length > 0 ? left : rowsLeftBehind(before, next, exists);
}

/** Why a change is not put in force at once. */
const REASONS: Readonly<Record<MapChange["needs"], string | undefined>> = {
  nothing: undefined,
  "no table": undefined,
  "another map": "no migration leads to it",
  migration: "rows would have to move first",
  drop: "its rows would be looked for in the catalog database. Keep it listed, or DROP TABLE it through a proxy first",
};

/** Where the next map has a table, and the one before does not: `users0: public.orders`. */
function newPlaces(before: ShardMap, next: ShardMap): ReadonlySet<string> {
  const places = (map: ShardMap): readonly string[] =>
    [...map.tables].flatMap(([name, table]) =>
      homesOf(table, map).map(({ database, schema }) => `${database}: ${schema}.${name}`),
    );
  const old = new Set(places(before));
  return new Set(places(next).filter((place) => !old.has(place)));
}

/**
 * Whether a table has been made, under the map before, since `checkPublication` looked. Over a
 * connection that is open already: whoever asks keeps proxies waiting.
 */
export class LastLook implements Disposable {
  readonly #connection: BackendConnection;
  readonly #before: ShardMap;
  readonly #next: ShardMap;

  static async open(before: ShardMap, next: ShardMap): Promise<LastLook> {
    const database = next.catalog;
    const address = backendAddresses(next).get(database);
    invariant(address !== undefined, "the catalog database is one of the map's");
    const options = { database, connectTimeoutMs: BACKEND_CONNECT_TIMEOUT_MS };
    return new LastLook(await BackendConnection.open(address, options), before, next);
  }

  private constructor(connection: BackendConnection, before: ShardMap, next: ShardMap) {
    this.#connection = connection;
    this.#before = before;
    this.#next = next;
  }

  /** As checkPublication's. */
  async leftBehind(): Promise<Pick<Publication, "problems" | "changes">> {
    const present = await this.#ask(
      `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = ${quoteLiteral(this.#next.canonicalSchema)}`,
    );
    const names = new Set(present.map(([name]) => name));
    const exists = (table: string): boolean => names.has(table);
    const changes = mapChanges(this.#before, this.#next, exists);
    return { changes, problems: leftBehind(this.#before, this.#next, changes, exists) };
  }

  /** Whether a transaction of the catalog database may yet commit. */
  async isInProgress(transaction: string): Promise<boolean> {
    const [row] = await this.#ask(
      `SELECT pg_catalog.pg_xact_status(${quoteLiteral(transaction)}) = 'in progress'`,
    );
    return row?.[0] === "t";
  }

  async #ask(sql: string): Promise<readonly (readonly (string | null)[])[]> {
    return (await this.#connection.query(sql, AbortSignal.timeout(LAST_LOOK_TIMEOUT_MS))).rows;
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}

/** Two names of one database would each own what the other owns. */
async function ownedTwice(map: ShardMap, identities: Identities): Promise<readonly string[]> {
  const named = [...backendAddresses(map)].map(([database, address]) => ({ database, address }));
  const problems: string[] = [];
  for (const [index, first] of named.entries())
    for (const second of named.slice(index + 1)) {
      const identity = identities[first.database];
      if (identity === undefined || identity !== identities[second.database]) continue;
      const problem = await problemOfTwo(first, second);
      if (problem !== undefined) problems.push(problem);
    }
  return problems;
}

async function problemOfTwo(
  ...[first, second]: Parameters<typeof isSameDatabase>
): Promise<string | undefined> {
  const names = `databases ${first.database} and ${second.database}`;
  try {
    if (!(await isSameDatabase(first, second))) return undefined;
    return `${names} are one and the same: name it once`;
  } catch (error) {
    return `${names} cannot be told apart: ${reasonAndRemedy(error)}`;
  }
}

/** A URL may change where the database stays the same, as after a failover. */
function otherDatabases(known: Identities, now: Identities): readonly string[] {
  return Object.keys(known)
    .filter((name) => now[name] !== undefined && now[name] !== known[name])
    .map(
      (name) =>
        `database ${name} is another one than before: its rows would be looked for where they are not. Give a new database a new name`,
    );
}
