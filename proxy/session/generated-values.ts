/**
 * The values that the proxy itself fills into the rows of an INSERT: numbers of sequences that
 * all databases share, and UUIDs. It knows nothing of where a connection comes from.
 */
import { unreachable } from "../../base/invariant.ts";
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { GeneratedColumn } from "../../planner/generated-column.ts";
import { sequenceBlockSize } from "../../shardmap/shard-map.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { nextValues, qualified } from "../execution/global-sequences.ts";
import type { SequenceName } from "../execution/global-sequences.ts";
import type { SessionServices } from "./session-services.ts";

type WithCatalog = <T>(use: (connection: BackendConnection) => Promise<T>) => Promise<T>;

type Services = Pick<SessionServices, "randomUuid" | "sequences" | "topology">;

/** Backends that values are drawn over. */
export interface DrawingBackends {
  /** The open transaction's own backend, where it changed the catalog: a sequence that it made is there for nobody else. */
  readonly inside: WithCatalog | undefined;
  /** A backend of its own: what a sequence gave stays given when the transaction rolls back. */
  readonly outside: WithCatalog;
  /** As the session's role, which may not be the one that draws; undefined where it is. */
  readonly asked: WithCatalog | undefined;
}

export interface ValuesWanted {
  readonly generated: readonly GeneratedColumn[];
  /** Rows to be filled. */
  readonly count: number;
}

/** For each row, the values of the columns that the proxy fills. */
export async function drawValues(
  { generated, count }: ValuesWanted,
  services: Services,
  backends: DrawingBackends,
): Promise<readonly (readonly string[])[]> {
  await backends.asked?.((connection) => checkMayDraw(generated, connection));
  const columns = await Promise.all(
    generated.map((column) => drawColumn(column, count, services, backends)),
  );
  return Array.from({ length: count }, (_, row) => columns.map((values) => values[row] ?? ""));
}

async function drawColumn(
  { source }: GeneratedColumn,
  count: number,
  services: Services,
  { inside, outside }: DrawingBackends,
): Promise<readonly string[]> {
  switch (source.kind) {
    case "randomUuid":
      return Array.from({ length: count }, services.randomUuid);
    case "sequence": {
      if (inside !== undefined)
        return inside((connection) => nextValues(connection, qualified(source), count));
      const blockSize = sequenceBlockSize(services.topology().map, source);
      return services.sequences.draw(source, count, blockSize, outside);
    }
    case "clockDefault":
      // The databases compute it, from the time that they are given.
      return [];
    default:
      return unreachable(source);
  }
}

/** As nextval() does, for which the proxy draws in the name of all clients. Throws PostgreSQL's error. */
async function checkMayDraw(
  generated: readonly GeneratedColumn[],
  connection: BackendConnection,
): Promise<void> {
  for (const { source } of generated) {
    if (source.kind !== "sequence" || source.isIdentity) continue;
    const { rows } = await connection.query(mayDrawQuery(source));
    if (rows[0]?.[0] === "t") continue;
    throw new SqlError(
      "sequence_permission_denied",
      `permission denied for sequence ${source.sequence}`,
    );
  }
}

function mayDrawQuery({ schema, sequence }: SequenceName): string {
  return `SELECT pg_catalog.has_sequence_privilege(c.oid, 'USAGE, UPDATE')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = ${quoteLiteral(schema)} AND c.relname = ${quoteLiteral(sequence)}`;
}
