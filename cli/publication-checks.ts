/**
 * Whether a map may take another's place at once: what the two say of each other, and what
 * the next map's databases say of it. It changes nothing.
 */
import { backendAddresses } from "../proxy/topology/backend-addresses.ts";
import { isSameDatabase, readIdentity } from "../proxy/topology/database-identity.ts";
import { rowsLeftBehind } from "../shardmap/diff.ts";
import { mapChanges, printChange } from "../shardmap/map-changes.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { reasonAndRemedy } from "./failure.ts";
import { findLiveProblems, printFinding, readLiveCatalog } from "./live-databases.ts";

export interface Publication {
  /** Sentences; empty where it may be published. */
  readonly problems: readonly string[];
  /** See readIdentity; of the databases that could be asked. */
  readonly identities: Readonly<Record<string, string>>;
}

type Identities = Readonly<Record<string, string>>;

/** `before` and its databases' identities are undefined for the first map. */
export async function checkPublication(
  before: ShardMap | undefined,
  known: Identities | undefined,
  next: ShardMap,
): Promise<Publication> {
  const findings = await findLiveProblems(next);
  if (findings.some(({ object }) => object === "server"))
    return { problems: findings.map(printFinding), identities: {} };
  const catalog = await readLiveCatalog(next);
  const canonical = catalog.relations.get(next.canonicalSchema);
  const exists = (table: string): boolean => canonical?.has(table) === true;
  const yetToBeMade = new Set(
    [...next.tables.keys()]
      .filter((table) => !exists(table))
      .map((table) => `${next.canonicalSchema}.${table}`),
  );
  const live = findings
    .filter(({ severity }) => severity === "error")
    // A table is listed first and created next, through the proxy.
    .filter(({ database, object }) => database !== next.catalog || !yetToBeMade.has(object))
    .map(printFinding);
  const { identities, unread } = await readIdentities(next);
  const problems = [
    ...live,
    ...unread,
    ...(await ownedTwice(next, identities)),
    ...otherDatabases(known ?? {}, identities),
    ...(before === undefined ? [] : leftBehind(before, next, exists)),
  ];
  return { problems: [...new Set(problems)], identities };
}

function leftBehind(
  before: ShardMap,
  next: ShardMap,
  exists: (table: string) => boolean,
): readonly string[] {
  const moved = mapChanges(before, next)
    .filter(({ needs }) => needs === "migration")
    .map((change) => `${printChange(change)}: rows would have to move first`);
  return moved.length > 0 ? moved : rowsLeftBehind(before, next, exists);
}

/** Asked again once proxies follow: nobody makes a table under the old map any more. Sentences. */
export async function leftBehindNow(before: ShardMap, next: ShardMap): Promise<readonly string[]> {
  const canonical = (await readLiveCatalog(next)).relations.get(next.canonicalSchema);
  return rowsLeftBehind(before, next, (table) => canonical?.has(table) === true);
}

async function readIdentities(
  map: ShardMap,
): Promise<{ readonly identities: Identities; readonly unread: readonly string[] }> {
  const read = await Promise.all(
    [...backendAddresses(map)].map(async ([database, address]) => {
      try {
        return { database, identity: await readIdentity(database, address) };
      } catch (error) {
        return { database, reason: reasonAndRemedy(error) };
      }
    }),
  );
  return {
    identities: Object.fromEntries(
      read.flatMap(({ database, identity }) =>
        identity === undefined ? [] : [[database, identity]],
      ),
    ) as Identities,
    unread: read.flatMap(({ database, reason }) =>
      reason === undefined ? [] : [`database ${database} cannot be asked who it is: ${reason}`],
    ),
  };
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
