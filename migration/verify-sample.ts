/**
 * Some rows of each side, chosen at random, held against the other's: where a comparison of all rows
 * would take too long, it is done again and again. A row counts as different once it was seen so
 * VERIFY_SIGHTINGS times, each time between other snapshots, aligned as verify.ts tells.
 *
 * It reads, and changes nothing.
 */
import { VERIFY_SAMPLE_ROWS, VERIFY_SIGHTINGS } from "../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { targetName } from "./apply-statements.ts";
import { placementId } from "./move.ts";
import type { Move, MovedTable } from "./move.ts";
import { sidesOf } from "./verify.ts";
import type { Difference, Side } from "./verify.ts";
import { VerifySessions } from "./verify-sessions.ts";
import type { VerifySides } from "./verify-sessions.ts";
import { arrivedRows, movedRows, rowsByKey, someRows } from "./verify-sql.ts";

export interface SampleOptions extends VerifySides {
  readonly move: Move;
}

interface Suspects {
  readonly side: Side;
  /** The key's values, by the key as text. */
  readonly keys: Map<string, readonly string[]>;
  kinds: ReadonlyMap<string, Difference["kind"]>;
}

export async function verifySample(
  options: SampleOptions,
  signal: AbortSignal,
): Promise<readonly Difference[]> {
  using sessions = await VerifySessions.open(options, signal);
  const all: Suspects[] = [];
  for (let sighting = 0; sighting < VERIFY_SIGHTINGS; sighting += 1) {
    await sessions.aligned(signal, async () => {
      if (sighting === 0)
        for (const table of options.move.tables)
          for (const side of sidesOf(options.move, table))
            all.push({ side, keys: await sampledKeys(sessions, side), kinds: new Map() });
      for (const suspects of all) {
        suspects.kinds = await differing(sessions, suspects.side, suspects.keys);
        for (const key of suspects.keys.keys())
          if (!suspects.kinds.has(key)) suspects.keys.delete(key);
      }
    });
    if (all.every(({ keys }) => keys.size === 0)) return [];
  }
  return all.flatMap(({ side: { table, targets }, kinds }) => {
    const [only, another] = targets;
    const placement = only !== undefined && another === undefined ? placementId(only) : undefined;
    return [...kinds].map(([key, kind]) => ({ table, kind, key, placement }));
  });
}

/** Of rows of both sides: what one has and the other has not is found from where it is. */
async function sampledKeys(
  sessions: VerifySessions,
  { table, targets }: Side,
): Promise<Map<string, readonly string[]>> {
  const keys = new Map<string, readonly string[]>();
  const sample = async (connection: BackendConnection, name: string, where: string) => {
    const size = { percent: await percentOf(connection, name), limit: VERIFY_SAMPLE_ROWS };
    const { rows } = await connection.query(someRows(table, name, where, size));
    for (const [key, , ...values] of rows)
      keys.set(
        key ?? "",
        values.map((value) => value ?? ""),
      );
  };
  await sample(sessions.source, sourceName(table), movedRows(table));
  for (const target of targets)
    await sample(sessions.target(target.database), targetName(target), arrivedRows(table));
  return keys;
}

const PAGE_BYTES = 8_192;
/** Where each page has one row at least, and some have more. */
const SAMPLE_PAGES = 2 * VERIFY_SAMPLE_ROWS;

/** Of the table's pages, partitions and all. */
async function percentOf(connection: BackendConnection, name: string): Promise<number> {
  const table = quoteLiteral(name);
  const { rows } = await connection.query(
    `SELECT greatest(pg_relation_size(${table}::regclass), (SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(${table})))`,
  );
  return Math.min(100, (100 * SAMPLE_PAGES * PAGE_BYTES) / Math.max(1, Number(rows[0]?.[0])));
}

async function differing(
  sessions: VerifySessions,
  { table, targets }: Side,
  keys: ReadonlyMap<string, readonly string[]>,
): Promise<ReadonlyMap<string, Difference["kind"]>> {
  if (keys.size === 0) return new Map();
  const values = [...keys.values()];
  const wanted = await hashesOf(sessions.source, table, sourceName(table), values);
  const found = new Map<string, string[]>();
  for (const target of targets) {
    const connection = sessions.target(target.database);
    for (const [key, hashes] of await hashesOf(connection, table, targetName(target), values))
      found.set(key, [...(found.get(key) ?? []), ...hashes]);
  }
  const kinds = new Map<string, Difference["kind"]>();
  for (const key of keys.keys()) {
    const [due] = wanted.get(key) ?? [];
    const [there, another] = found.get(key) ?? [];
    if (due === there && another === undefined) continue;
    if (there === undefined) kinds.set(key, "missing");
    else kinds.set(key, due === undefined || another !== undefined ? "extra" : "different");
  }
  return kinds;
}

/** By the key as text. */
async function hashesOf(
  connection: BackendConnection,
  table: MovedTable,
  name: string,
  keys: readonly (readonly string[])[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await connection.query(rowsByKey(table, name, keys));
  const hashes = new Map<string, string[]>();
  for (const [key, hash] of rows)
    hashes.set(key ?? "", [...(hashes.get(key ?? "") ?? []), hash ?? ""]);
  return hashes;
}

function sourceName({ schema, name }: MovedTable): string {
  return quoteQualified(schema, name);
}
