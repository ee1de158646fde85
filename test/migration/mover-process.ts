/** A mover in a process of its own, to be killed: reads what to do from its argument, and says when all is copied. */
import { openSource } from "../../migration/sessions.ts";
import { describeMove } from "../../migration/source-tables.ts";
import { Mover } from "../../migration/mover.ts";
import { moveDatabase } from "./rig.ts";
import { STRESS_TABLES, stressMove } from "./stress-tables.ts";

export interface MoverJob {
  readonly move: string;
  readonly tables: readonly string[];
  readonly source: string;
  readonly targets: Readonly<Record<string, string>>;
  readonly epoch: number;
  readonly workerCount: number;
  readonly chunkRows: number;
}

const job = JSON.parse(process.argv[2] ?? "") as MoverJob;
const source = moveDatabase("source", job.source);
const connection = await openSource(source);
const tables = STRESS_TABLES.filter(({ name }) => job.tables.includes(name));
const move = await describeMove(connection, stressMove(job.move, tables));
connection.close();
const mover = await Mover.start({
  move,
  source,
  targets: Object.entries(job.targets).map(([name, url]) => moveDatabase(name, url)),
  epoch: BigInt(job.epoch),
  workerCount: job.workerCount,
  chunkRows: job.chunkRows,
});
console.log("started");
mover.copied.then(
  () => console.log(`copied ${JSON.stringify(mover.progress.copy)}`),
  () => undefined,
);
try {
  await mover.ended;
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
