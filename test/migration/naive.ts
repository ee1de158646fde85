/**
 * How tools do it that have no filter: rows are read in chunks and inserted where they are
 * missing, while the stream is replayed as upserts and deletes. It looks right, and loses the
 * race between a chunk that was read and a delete that is replayed before it is written. The
 * stress has to find that out, or it could not find it out of the product either.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ChangeStream } from "../../migration/change-stream.ts";
import { streamNames } from "../../migration/stream-setup.ts";
import { compareRows, type Differences } from "./compare-rows.ts";
import { placement, prepareMove, type Rig } from "./rig.ts";
import {
  createTables,
  fillTables,
  STRESS_TABLES,
  type StressTable,
  stressMove,
} from "./stress-tables.ts";
import { Writers } from "./writers.ts";

const CHUNK_KEYS = 100;

export async function runNaive(
  rig: Rig,
  options: { readonly seed: number; readonly keys: number; readonly name: string },
): Promise<Differences> {
  const [numbers] = STRESS_TABLES;
  if (numbers === undefined) throw new Error("there is a table of numbers");
  const table: StressTable = {
    ...numbers,
    name: options.name,
    destination: { kind: "one", placement: placement("t1", "a") },
  };
  await rig.source.query("app", createTables([table]) + fillTables([table], options.keys));
  const move = stressMove(options.name, [table]);
  await prepareMove(rig, move);
  const writers = new Writers(rig.source, {
    tables: [table],
    keys: options.keys,
    seed: options.seed,
    writerCount: 4,
    pauseMs: 2,
  });
  const stop = new AbortController();
  const replaying = replay(rig, options.name, stop.signal);
  await copyInChunks(rig, table, options.keys);
  await writers.stop();
  // All that is left of the stream is replayed in a moment.
  await sleep(1_500);
  stop.abort();
  await replaying;
  return await compareRows(rig, [table]);
}

async function copyInChunks(rig: Rig, { name }: StressTable, keys: number): Promise<void> {
  const [source, target] = await Promise.all([rig.source.connect("app"), rig.target.connect("t1")]);
  for (let from = 0; from <= keys; from += CHUNK_KEYS) {
    const { rows } = await source.query(
      `SELECT coalesce(json_agg(t), '[]') AS rows FROM ${name} t WHERE id > ${from} AND id <= ${from + CHUNK_KEYS}`,
    );
    // On its way.
    await sleep(20);
    await target.query(
      `INSERT INTO a.${name} SELECT * FROM json_populate_recordset(NULL::a.${name}, $1) ON CONFLICT DO NOTHING`,
      [JSON.stringify((rows as readonly { readonly rows: unknown }[])[0]?.rows)],
    );
  }
  await Promise.all([source.end(), target.end()]);
}

async function replay(rig: Rig, name: string, signal: AbortSignal): Promise<void> {
  const target = await rig.target.connect("t1");
  using stream = await ChangeStream.open(rig.sourceDatabase, streamNames({ name }), signal);
  const upsert = `INSERT INTO a.${name} VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version, note = EXCLUDED.note, pad = EXCLUDED.pad`;
  try {
    for (;;) {
      const event = stream.tryNext() ?? (await stream.next(signal));
      if (event.kind === "insert" || event.kind === "update")
        await target.query(upsert, event.row.map(String));
      const old = event.kind === "delete" || event.kind === "update" ? event.old : undefined;
      if (old !== undefined)
        await target.query(`DELETE FROM a.${name} WHERE id = $1`, [String(old.row[0])]);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await target.end();
  }
}
