/**
 * Some rows of each side, chosen at random, held against the other's: where a comparison of all rows
 * would take too long, it is done again and again, between snapshots that are aligned as verify.ts tells.
 *
 * It reads, and changes nothing.
 */
import { VERIFY_SAMPLE_ROWS, VERIFY_SIGHTINGS_MAX } from "../base/limits.ts";
import { quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { targetName } from "./apply-statements.ts";
import { placementId } from "./move.ts";
import type { Move, MovedTable } from "./move.ts";
import { sidesOf } from "./verify.ts";
import type { Difference, Side } from "./verify.ts";
import { isSettled, seenAgain, withoutBusy } from "./verify-sightings.ts";
import type { Sighted } from "./verify-sightings.ts";
import { VerifySessions } from "./verify-sessions.ts";
import type { VerifySides } from "./verify-sessions.ts";
import { arrivedRows, movedRows, rowsByKey, someRows } from "./verify-sql.ts";

export interface SampleOptions extends VerifySides {
  readonly move: Move;
}

interface Suspects {
  readonly side: Side;
  /** By the key as text. */
  readonly found: Map<string, Suspect>;
}

interface Suspect extends Sighted {
  readonly key: readonly string[];
  readonly kind: Difference["kind"];
}

export async function verifySample(
  options: SampleOptions,
  signal: AbortSignal,
): Promise<readonly Difference[]> {
  using sessions = await VerifySessions.open(options, signal);
  const all: Suspects[] = [];
  await sessions.aligned(signal, async () => {
    for (const table of options.move.tables)
      for (const side of sidesOf(options.move, table))
        all.push({
          side,
          found: await differing(sessions, side, await sampledKeys(sessions, side)),
        });
  });
  const isDoubted = (): boolean =>
    all.some(({ found }) => [...found.values()].some(({ sightings }) => !isSettled(sightings)));
  for (let sighting = 1; sighting < VERIFY_SIGHTINGS_MAX && isDoubted(); sighting += 1)
    await sessions.aligned(signal, async () => {
      for (const { side, found } of all) {
        const keys = new Map([...found].map(([name, { key }]) => [name, key]));
        seenAgain(found, await differing(sessions, side, keys));
      }
    });
  for (const { found } of all) withoutBusy(found);
  return all.flatMap(({ side: { table, targets }, found }) => {
    const [only, another] = targets;
    const placement = only !== undefined && another === undefined ? placementId(only) : undefined;
    return [...found].map(([key, { kind }]) => ({ table, kind, key, placement }));
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
): Promise<Map<string, Suspect>> {
  if (keys.size === 0) return new Map();
  const all = [...keys.values()];
  const wanted = await hashesOf(sessions.source, table, sourceName(table), all);
  const found = new Map<string, string[]>();
  for (const target of targets) {
    const connection = sessions.target(target.database);
    for (const [key, hashes] of await hashesOf(connection, table, targetName(target), all))
      found.set(key, [...(found.get(key) ?? []), ...hashes]);
  }
  const suspects = new Map<string, Suspect>();
  for (const [name, key] of keys) {
    const [due] = wanted.get(name) ?? [];
    const [there, another] = found.get(name) ?? [];
    if (due === there && another === undefined) continue;
    const isExtra = due === undefined || another !== undefined;
    const kind = there === undefined ? "missing" : isExtra ? "extra" : "different";
    const values = [due, there, another].join(" ");
    suspects.set(name, { key, kind, values, sightings: 1 });
  }
  return suspects;
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
