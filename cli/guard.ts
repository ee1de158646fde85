/** `colonnade guard install|verify|remove`: the CHECKs of a map's placements, in all of its databases. */
import { BackendError } from "../proxy/backend/backend-connection.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { guardsOf, guardState, installGuard, removeGuard } from "../proxy/topology/guards.ts";
import type { Guard, GuardState } from "../proxy/topology/guards.ts";
import { CommandFailure } from "./failure.ts";
import { requireMap } from "./input-files.ts";
import { inDatabases } from "./live-databases.ts";
import { printJson, printLines } from "./output.ts";

export interface GuardFlags {
  readonly map: string;
  readonly json?: true;
}

type Action = "install" | "verify" | "remove";

interface GuardReport {
  readonly database: string;
  readonly schema: string;
  readonly table: string;
  readonly state: GuardState | "removed" | "failed";
  /** Why it is not as asked. */
  readonly problem?: string;
}

const PROBLEMS: Readonly<Record<Exclude<GuardState, "right">, string>> = {
  missing: "has no guard: colonnade guard install",
  different: "its guard is another one than the shard map asks for: colonnade guard install",
  unchecked: "its guard was never checked against the rows that are there: colonnade guard install",
  "no table": "does not exist: create it through the proxy, or correct the shard map",
};

/** Exit code 1 where a guard is not as asked; the others are. */
export async function guard(action: Action, { map: path, json }: GuardFlags): Promise<void> {
  const map = requireMap(path);
  const reports = await inDatabases(
    map,
    guardsOf(map),
    ({ database }) => database,
    ACTIONS[action],
  );
  if (json === true) printJson(reports);
  else printLines(reports.map(printReport));
  const failed = reports.filter(({ problem }) => problem !== undefined);
  if (failed.length > 0)
    throw new CommandFailure(`${failed.length} of ${reports.length} guards are not as asked`, 1);
}

type GuardAction = (connection: BackendConnection, guard: Guard) => Promise<GuardReport>;

const ACTIONS: Readonly<Record<Action, GuardAction>> = { install, verify, remove };

async function verify(connection: BackendConnection, each: Guard): Promise<GuardReport> {
  return reported(each, await guardState(connection, each));
}

async function install(connection: BackendConnection, each: Guard): Promise<GuardReport> {
  const state = await guardState(connection, each);
  if (state === "right" || state === "no table") return reported(each, state);
  return await attempted(connection, each, "right", () => installGuard(connection, each, state));
}

async function remove(connection: BackendConnection, each: Guard): Promise<GuardReport> {
  if ((await guardState(connection, each)) === "no table")
    return { ...placeOf(each), state: "removed" };
  return await attempted(connection, each, "removed", () => removeGuard(connection, each));
}

/** What the server refuses is reported, and the next guard gets its turn. */
async function attempted(
  connection: BackendConnection,
  each: Guard,
  state: "right" | "removed",
  work: () => Promise<void>,
): Promise<GuardReport> {
  try {
    await work();
    return { ...placeOf(each), state };
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    if (connection.transactionStatus !== "idle") await connection.query("ROLLBACK");
    const { C: sqlstate, M: message = "" } = error.fields;
    return { ...placeOf(each), state: "failed", problem: problemOf(sqlstate, message) };
  }
}

const CHECK_VIOLATION = "23514";
const LOCK_NOT_AVAILABLE = "55P03";

function problemOf(sqlstate: string | undefined, message: string): string {
  if (sqlstate === CHECK_VIOLATION)
    return "holds rows that belong to another placement; its guard refuses new ones. Move or delete them, then install again";
  if (sqlstate === LOCK_NOT_AVAILABLE)
    return "is locked by somebody: install again once their transaction is over";
  return message;
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

function printReport({ database, schema, table, state, problem }: GuardReport): string {
  const place = `${database}: ${schema}.${table}`;
  return problem === undefined
    ? `${place}: ${state === "removed" ? "has no guard any more" : "is guarded"}`
    : `${place}: ${problem}`;
}
