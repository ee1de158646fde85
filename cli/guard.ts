/** `colonnade guard install|verify|remove`: the CHECKs of a map's placements, in all of its databases. */
import { GUARD_COUNT_TIMEOUT_MS } from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import { BackendError } from "../proxy/backend/backend-connection.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import {
  guardsOf,
  guardState,
  hasTable,
  installGuard,
  removeGuard,
} from "../proxy/topology/guards.ts";
import type { Guard, GuardState } from "../proxy/topology/guards.ts";
import { countMisplacedRows, misplacedRows } from "../proxy/topology/misplaced-rows.ts";
import { strayGuards } from "../proxy/topology/stray-guards.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { fencingMigration } from "../migration/fence.ts";
import { CommandFailure } from "./failure.ts";
import { guardMap, placeName } from "./guard-map.ts";
import type { GuardMapFlags } from "./guard-map.ts";
import { askDatabases, inDatabases } from "./live-databases.ts";
import { printJson, printLines } from "./output.ts";

export interface GuardFlags extends GuardMapFlags {
  readonly json?: true;
}

type Action = "install" | "verify" | "remove";

interface GuardReport {
  readonly database: string;
  readonly schema: string;
  readonly table: string;
  readonly state: GuardState | "stray" | "fenced" | "removed" | "failed";
  /** Why it is not as asked. */
  readonly problem?: string;
}

const PROBLEMS: Readonly<Record<Exclude<GuardState, "right">, string>> = {
  missing: "has no guard: colonnade guard install",
  different: "its guard is another one than the shard map asks for: colonnade guard install",
  unchecked: "its guard was never checked against the rows that are there: colonnade guard install",
  "no table": "does not exist: create it through the proxy, or correct the shard map",
};

const STRAY_PROBLEM =
  "has a guard, which refuses rows that belong here, and the shard map asks for none: colonnade guard install";

/** Exit code 1 where a guard is not as asked; the others are. */
export async function guard(action: Action, flags: GuardFlags): Promise<void> {
  const { map, overtaken } = await guardMap(flags);
  // To look at the rows of large tables takes as long as it does; nothing else here does.
  const inEach: typeof inDatabases = action === "install" ? inDatabases : askDatabases;
  const asked = await inEach(
    map,
    guardsOf(map),
    ({ database }) => database,
    (connection, each) => attempted(action, connection, each, ACTIONS[action]),
  );
  const strays = await inEach(
    map,
    [...map.databases.keys()],
    (database) => database,
    (connection) => endStrays(action, connection, map),
  );
  const reports = [...asked, ...strays.flat()];
  if (flags.json === true) printJson(reports);
  else printLines(reports.map(printReport));
  const failed = reports.filter(({ problem }) => problem !== undefined);
  if (failed.length > 0)
    throw new CommandFailure(`${failed.length} of ${reports.length} guards are not as asked`, 1);
  const reason = await overtaken();
  if (reason !== undefined) throw new CommandFailure(reason, 1);
}

type GuardAction = (connection: BackendConnection, guard: Guard) => Promise<GuardReport>;

const ACTIONS: Readonly<Record<Action, GuardAction>> = { install, verify, remove };

/** No map in force asks for these, so `install` takes them away. */
const STRAY_ACTIONS: Readonly<Record<Action, GuardAction>> = {
  install: remove,
  verify: (_, each) =>
    Promise.resolve({ ...placeOf(each), state: "stray", problem: STRAY_PROBLEM }),
  remove,
};

async function verify(connection: BackendConnection, each: Guard): Promise<GuardReport> {
  const state = await guardState(connection, each);
  if (state === "right" || state === "no table") return reported(each, state);
  return (await fenced(connection, each)) ?? reported(each, state);
}

async function install(connection: BackendConnection, each: Guard): Promise<GuardReport> {
  const state = await guardState(connection, each);
  if (state === "right" || state === "no table") return reported(each, state);
  const left = await fenced(connection, each);
  if (left !== undefined) return left;
  await installGuard(connection, each, state);
  return { ...placeOf(each), state: "right" };
}

/** The old home of rows that were moved: a rollback may give them back, and its stream writes to it. */
async function fenced(
  connection: BackendConnection,
  each: Guard,
): Promise<GuardReport | undefined> {
  const migration = await fencingMigration(connection, { schema: each.schema, name: each.table });
  if (migration === undefined) return undefined;
  return {
    ...placeOf(each),
    state: "fenced",
    problem: `is fenced by migration "${migration}", and is left as it is: install again once that is completed`,
  };
}

async function remove(connection: BackendConnection, each: Guard): Promise<GuardReport> {
  // Without looking at what it says: of whatever map it is, it goes.
  if (await hasTable(connection, each)) await removeGuard(connection, each);
  return { ...placeOf(each), state: "removed" };
}

async function endStrays(
  action: Action,
  connection: BackendConnection,
  map: ShardMap,
): Promise<readonly GuardReport[]> {
  const reports: GuardReport[] = [];
  for (const each of await strayGuards(connection, map))
    reports.push(await attempted(action, connection, each, STRAY_ACTIONS[action]));
  return reports;
}

/** What the server refuses is reported, and the next guard gets its turn. */
async function attempted(
  action: Action,
  connection: BackendConnection,
  each: Guard,
  act: GuardAction,
): Promise<GuardReport> {
  try {
    return await act(connection, each);
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    if (connection.transactionStatus !== "idle") await connection.query("ROLLBACK");
    const problem = await problemOf(action, error, connection, each);
    return { ...placeOf(each), state: "failed", problem };
  }
}

const CHECK_VIOLATION = "23514";
const LOCK_NOT_AVAILABLE = "55P03";
const INSUFFICIENT_PRIVILEGE = "42501";

async function problemOf(
  action: Action,
  { fields: { C: sqlstate, M: message = "", H: hint } }: BackendError,
  connection: BackendConnection,
  each: Guard,
): Promise<string> {
  switch (sqlstate) {
    case CHECK_VIOLATION:
      return await misplacedProblem(connection, each);
    case LOCK_NOT_AVAILABLE:
      return `is locked by somebody, and was left as it is: ${action} again once their transaction is over`;
    case INSUFFICIENT_PRIVILEGE:
      return await privilegeProblem(message, connection, each);
    default:
      return `the server says: ${message}${hint === undefined ? "" : `. ${hint}`}`;
  }
}

async function misplacedProblem(connection: BackendConnection, each: Guard): Promise<string> {
  const count = await countMisplacedRows(connection, each);
  const rows = count === undefined ? "rows" : `${count} row${count === "1" ? "" : "s"}`;
  const uncounted =
    count === undefined ? ` (not counted in ${GUARD_COUNT_TIMEOUT_MS / 1000} s)` : "";
  return `holds ${rows} of another placement${uncounted}; its guard refuses new ones. Move or delete them, then install again. They are found, in this database, by: ${misplacedRows(each)};`;
}

/** A published map names the role of the proxies, which need not own their tables. */
async function privilegeProblem(
  message: string,
  connection: BackendConnection,
  each: Guard,
): Promise<string> {
  const { rows } = await connection.query(
    `SELECT current_user, pg_catalog.pg_get_userbyid(c.relowner), pg_catalog.pg_has_role(c.relowner, 'USAGE')
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = ${quoteLiteral(each.schema)} AND c.relname = ${quoteLiteral(each.table)}`,
  );
  const [role, owner, isOwner] = rows[0] ?? [];
  if (typeof owner !== "string" || isOwner === "t") return `role "${role}": ${message}`;
  return `belongs to role "${owner}", and the URL's role "${role}" may not change it: give the URL in a map of --map that role, or GRANT "${owner}" TO "${role}"`;
}

function reported(each: Guard, state: GuardState): GuardReport {
  return {
    ...placeOf(each),
    state,
    ...(state !== "right" && { problem: PROBLEMS[state] }),
  };
}

function placeOf({ database, schema, table }: Guard): Omit<GuardReport, "state"> {
  return { database, schema, table };
}

function printReport({ state, problem, ...guarded }: GuardReport): string {
  const place = placeName(guarded);
  return problem === undefined
    ? `${place}: ${state === "removed" ? "has no guard any more" : "is guarded"}`
    : `${place}: ${problem}`;
}
