/**
 * `colonnade migrate doctor`: what migrations have left in databases, though none that is under
 * way needs it. A slot that nobody reads keeps WAL until the disk is full.
 */
import { quoteIdentifier, quoteLiteral } from "../../base/sql-quoting.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import { currentMap } from "../../control/map-versions.ts";
import { forgetObject, listObjects } from "../../control/migration-objects.ts";
import { streamNames } from "../../migration/stream-setup.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import type { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { parseShardMap } from "../../shardmap/schema.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { CommandFailure } from "../failure.ts";
import { inDatabases } from "../live-databases.ts";
import { printJson, printLines } from "../output.ts";
import { knownMigrations } from "./stored-migrations.ts";

export interface DoctorFlags extends ControlFlags {
  /** Take away what is found. */
  readonly clean?: true;
}

type LeftKind = "slot" | "publication";

interface Leftover {
  readonly database: string;
  readonly kind: LeftKind;
  readonly name: string;
  readonly outcome: Outcome;
}

type Outcome =
  | { readonly kind: "found" | "removed" }
  | { readonly kind: "stays"; readonly because: string };

/** Exit code 1 where something is left. */
export async function doctorCommand(flags: DoctorFlags): Promise<void> {
  const found = await withControl(flags, async (database) => {
    const left = await leftovers(database, flags.clean === true);
    await forgetRemoved(database, left);
    return left;
  });
  if (flags.json === true) printJson(found);
  else printLines(found.length === 0 ? ["nothing is left behind"] : found.map(line));
  const staying = found.filter(({ outcome }) => outcome.kind !== "removed");
  if (staying.length > 0)
    throw new CommandFailure(
      `${staying.length} objects are left behind${flags.clean === true ? "" : ": colonnade migrate doctor --clean takes them away"}`,
      1,
    );
}

async function leftovers(database: ControlDatabase, clean: boolean): Promise<readonly Leftover[]> {
  const current = await currentMap(database);
  if (current === undefined) return [];
  const result = parseShardMap(current.yaml, `version ${current.version}`);
  if (!("map" in result))
    throw new CommandFailure(`version ${current.version} of the shard map cannot be read`);
  const needed = new Set(
    (await knownMigrations(database))
      .filter(({ stored }) => !["completed", "cancelled"].includes(stored.document.life.state))
      .flatMap(({ plan }) => plan.moves.flatMap((move) => Object.values(streamNames(move)))),
  );
  const names = [...result.map.databases.keys()];
  const found = await inDatabases(
    result.map,
    names,
    (name) => name,
    async (connection) => await leftIn(connection, needed, clean),
  );
  return found.flat();
}

/** Every name of ours begins so: see streamNames. */
const OURS = "colonnade\\_%";

async function leftIn(
  connection: BackendConnection,
  needed: ReadonlySet<string>,
  clean: boolean,
): Promise<readonly Leftover[]> {
  const { rows } = await connection.query(
    `SELECT 'slot', slot_name FROM pg_catalog.pg_replication_slots WHERE slot_name LIKE ${quoteLiteral(OURS)} AND database = pg_catalog.current_database()
UNION ALL SELECT 'publication', pubname FROM pg_catalog.pg_publication WHERE pubname LIKE ${quoteLiteral(OURS)} ORDER BY 1 DESC, 2`,
  );
  const left: Leftover[] = [];
  for (const [kind, name] of rows as readonly (readonly [LeftKind, string])[]) {
    if (needed.has(name)) continue;
    const outcome = clean ? await removed(connection, kind, name) : { kind: "found" as const };
    left.push({ database: connection.database, kind, name, outcome });
  }
  return left;
}

async function removed(
  connection: BackendConnection,
  kind: LeftKind,
  name: string,
): Promise<Outcome> {
  try {
    await connection.query(
      kind === "slot"
        ? `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(name)})`
        : `DROP PUBLICATION ${quoteIdentifier(name)}`,
    );
    return { kind: "removed" };
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    return { kind: "stays", because: error.fields.M ?? "the server refuses" };
  }
}

/** What the control schema says of it goes with it. */
async function forgetRemoved(database: ControlDatabase, left: readonly Leftover[]): Promise<void> {
  const gone = left.filter(({ outcome }) => outcome.kind === "removed");
  for (const object of await listObjects(database))
    if (gone.some((each) => isSame(each, object))) await forgetObject(database, object);
}

function isSame(
  one: { readonly database: string; readonly kind: string; readonly name: string },
  other: { readonly database: string; readonly kind: string; readonly name: string },
): boolean {
  return one.database === other.database && one.kind === other.kind && one.name === other.name;
}

function line({ database, kind, name, outcome }: Leftover): string {
  const what = `${database}: ${kind} ${name}`;
  switch (outcome.kind) {
    case "found":
      return `${what} belongs to no migration that is under way`;
    case "removed":
      return `${what} is removed`;
    case "stays":
      return `${what} stays: ${outcome.because}`;
  }
}
