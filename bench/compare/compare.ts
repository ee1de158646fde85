/**
 * `npm run bench -- compare`: the proxy beside others that do its work, in short slices that
 * take turns (A B C, A B C, ...), so that whatever else the machine does falls on all alike.
 * What counts is the ratio within a turn; medians and quartiles over the turns are printed.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { hasPgbench } from "../../test/pgbench/pgbench.ts";
import { startPostgres } from "../../test/support/postgres.ts";
import type { TestPostgres } from "../../test/support/postgres.ts";
import { workerRatios } from "../workers.ts";
import type { Case } from "./cases.ts";
import { CONTENDERS } from "./contenders.ts";
import type { World } from "./contenders.ts";
import type { Contender } from "./contenders/contender.ts";
import { bulkRows, fillBulk, SHARDS, shardSetup, SINGLE_SETUP } from "./data.ts";
import { measureIdle } from "./idle.ts";
import { besideOthers, measureSlice } from "./measure.ts";
import type { SliceOf } from "./measure.ts";
import { measureOrmMisses } from "./orm-miss.ts";
import { pageText } from "./page.ts";
import { layoutHere, pin } from "./pinning.ts";
import type { CoreLayout } from "./pinning.ts";
import { treeOf } from "./proc.ts";
import { attachProfiler } from "./profiler.ts";
import {
  caseText,
  circumstances,
  complaints,
  EXIT_CODES,
  exitCode,
  judgeAims,
  judgedText,
  OURS,
} from "./report.ts";
import type { Circumstances } from "./report.ts";
import type { Slice } from "./slice.ts";
import type { Wish } from "./wish.ts";

const WARM_UP_GIGABYTES = 0.02;
/** Memory is no matter of chance: one look does. */
const IDLE_TURN = 1;

/** Compiled by then, and enough for a median. */
const ORM_MISSES = { warmUp: 2_000, statements: 1_000 } as const;

const SETTINGS: Readonly<Record<string, string>> = {
  max_connections: "400",
  shared_buffers: "512MB",
  // A checkpoint in one slice of a turn would be taken for a contender's slowness.
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
  autovacuum: "off",
  jit: "off",
};

export async function compare(wish: Wish): Promise<number> {
  if (!hasPgbench()) {
    process.stderr.write("bench: compare needs pgbench\n");
    return 2;
  }
  const complaint = await prepareOutputs(wish);
  if (complaint !== undefined) {
    process.stderr.write(`bench: ${complaint}\n`);
    return 2;
  }
  const started = performance.now();
  const run = new Comparison(wish, layoutHere());
  for (const world of ["single", "sharded"] as const) await run.measureWorld(world);
  if (run.slices.length === 0) {
    process.stderr.write("bench: nothing was measured: nobody who was asked for has such a case\n");
    return 2;
  }
  const judged = judgeAims(wish, run.slices);
  print("aims:");
  for (const each of judged) print(`  ${judgedText(each)}`);
  print(`measured in ${((performance.now() - started) / 1_000).toFixed(0)} s`);
  const about = run.circumstances();
  if (wish.json !== undefined) {
    const all = { ...about, slices: run.slices, judged };
    await writeFile(wish.json, `${JSON.stringify(all, undefined, 1)}\n`);
  }
  if (wish.page !== undefined)
    await writeFile(wish.page, pageText(wish.command, run.texts, about, judged));
  if (run.hasFailed) return EXIT_CODES.missed;
  if (!wish.isChecked) return EXIT_CODES.held;
  for (const line of complaints(judged)) process.stderr.write(`bench: ${line}\n`);
  return exitCode(judged);
}

/** What cannot be written is better known before half an hour of measuring than after it. */
async function prepareOutputs({ json, page, profile }: Wish): Promise<string | undefined> {
  try {
    if (profile !== undefined) await mkdir(profile, { recursive: true });
    for (const file of [json, page]) if (file !== undefined) await writeFile(file, "");
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

class Comparison {
  /** What was printed of each case. */
  readonly texts: string[] = [];
  #slices: Slice[] = [];
  /** Where the proxy itself fails, nothing that it reached elsewhere makes up for it. */
  #hasFailed = false;
  readonly #wish: Wish;
  readonly #layout: CoreLayout;
  readonly #versions: Record<string, string> = {};

  constructor(wish: Wish, layout: CoreLayout) {
    this.#wish = wish;
    this.#layout = layout;
    pin([process.pid], layout.load);
  }

  get slices(): readonly Slice[] {
    return this.#slices;
  }

  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  async measureWorld(world: World): Promise<void> {
    const cases = this.#wish.cases.filter((each) => each.world === world);
    if (cases.length === 0) return;
    await using server = await startServer(world);
    pin(await serverPids(server), this.#layout.server);
    const contenders: Contender[] = [];
    try {
      if (cases.some(isOfContenders)) contenders.push(...(await this.#startAll(world, server)));
      for (const each of cases) {
        await this.#measure(
          each,
          server,
          contenders.filter(({ name }) => !each.without.includes(name)),
        );
        if (this.#slices.some((slice) => slice.case === each.name))
          this.texts.push(caseText(each, this.#slices));
        print(this.texts.at(-1) ?? "");
      }
    } finally {
      for (const contender of contenders) await contender[Symbol.asyncDispose]();
    }
  }

  circumstances(): Circumstances {
    return circumstances(this.#wish, this.#versions, this.#layout);
  }

  async #startAll(world: World, server: TestPostgres): Promise<readonly Contender[]> {
    const started: Contender[] = [];
    try {
      for (const name of this.#wish.contenders) {
        const contender = await this.#start(name, world, server);
        if (contender !== undefined) started.push(contender);
      }
    } catch (error) {
      for (const contender of started) await contender[Symbol.asyncDispose]();
      throw error;
    }
    return started;
  }

  async #start(name: string, world: World, server: TestPostgres): Promise<Contender | undefined> {
    const start = CONTENDERS[name]?.[world];
    if (start === undefined) return undefined;
    const { profile, pgbouncer } = this.#wish;
    const contender = await start(server, { isProfiled: profile !== undefined, pgbouncer });
    if (contender === undefined) {
      print(`${name}: absent, it is not installed; its rows are left out`);
      return undefined;
    }
    if (this.#versions[name] === undefined) print(`${name}: ${contender.version}`);
    this.#versions[name] = contender.version;
    if (contender.isSingleProcess) pin(contender.pids, this.#layout.proxy);
    return contender;
  }

  async #measure(of: Case, server: TestPostgres, contenders: readonly Contender[]): Promise<void> {
    const cores = availableParallelism();
    const { turns, seconds } = this.#wish.size;
    if (cores < of.coresMin) {
      print(`${of.name}: needs ${of.coresMin} cores, here are ${cores}; left out`);
      return;
    }
    switch (of.work.kind) {
      case "idle":
        return this.#measureIdle(of, server);
      case "ormMiss": {
        const { result, foreignCores } = await besideOthers(() =>
          measureOrmMisses({ ...ORM_MISSES, turns }),
        );
        for (const [index, missMicroseconds] of result.entries())
          this.#add(of, "planner", index + 1, { missMicroseconds }, foreignCores);
        return;
      }
      case "workers": {
        const { result, foreignCores } = await besideOthers(() => workerRatios(turns, seconds));
        for (const [index, timesOneWorker] of result.entries())
          this.#add(of, "colonnade", index + 1, { timesOneWorker }, foreignCores);
        return;
      }
      default:
        await this.#measureInTurns(of, server, contenders);
    }
  }

  #add(
    { name }: Case,
    contender: string,
    turn: number,
    values: Slice["values"],
    foreignCores: number,
  ): void {
    this.#slices.push({ case: name, contender, turn, values, foreignCores });
  }

  async #measureInTurns(
    of: Case,
    server: TestPostgres,
    contenders: readonly Contender[],
  ): Promise<void> {
    const { turns, seconds, gigabytes, warmUps } = this.#wish.size;
    const running = new Set(contenders);
    const measured = async (
      contender: Contender,
      size: Pick<SliceOf, "turn" | "seconds" | "gigabytes">,
    ): Promise<Slice | undefined> => {
      try {
        return await measureSlice({ of, server, contender, ...size });
      } catch (error) {
        running.delete(contender);
        this.#leaveOut(of, contender, error);
        return undefined;
      }
    };
    if (of.work.kind === "bulk") await refill(server, WARM_UP_GIGABYTES);
    const warmUp = { gigabytes: WARM_UP_GIGABYTES, turn: 0 };
    for (const contender of running)
      await measured(contender, { ...warmUp, seconds: contender.warmUpSeconds * warmUps });
    if (of.work.kind === "bulk") await refill(server, gigabytes);
    for (let turn = 1; turn <= turns; turn += 1)
      for (const contender of running) {
        const slice = await measured(contender, { turn, seconds, gigabytes });
        if (slice !== undefined) this.#slices.push(slice);
      }
    for (const contender of running)
      await this.#profile(of, contender, () =>
        measured(contender, { turn: turns + 1, seconds, gigabytes }),
      );
  }

  /** Others may fail at what they were not made for: that is said, and nothing they did counts. */
  #leaveOut({ name }: Case, { name: contender }: Contender, error: unknown): void {
    const because = error instanceof Error ? error.message : String(error);
    process.stderr.write(`bench: ${name}: ${contender} failed, and is left out: ${because}\n`);
    this.#slices = this.#slices.filter(
      (each) => each.case !== name || each.contender !== contender,
    );
    if (OURS.test(contender)) this.#hasFailed = true;
  }

  /** In a slice of its own, which does not count: sampling takes time. */
  async #profile(
    { name }: Case,
    { name: contender, pids, inspectorPort }: Contender,
    slice: () => Promise<Slice | undefined>,
  ): Promise<void> {
    const [pid] = pids;
    const { profile } = this.#wish;
    if (profile === undefined || inspectorPort === undefined || pid === undefined) return;
    const profiler = await attachProfiler(pid, inspectorPort);
    try {
      await profiler.start();
      await slice();
      await writeFile(join(profile, `${name}.${contender}.cpuprofile`), await profiler.stop());
    } finally {
      profiler.close();
    }
  }

  async #measureIdle(of: Case, server: TestPostgres): Promise<void> {
    const names = this.#wish.contenders.filter((name) => !of.without.includes(name));
    for (const name of names) {
      const contender = await this.#start(name, "single", server);
      if (contender === undefined) continue;
      try {
        const { idleClients } = this.#wish.size;
        const { result, foreignCores } = await besideOthers(() =>
          measureIdle(contender, idleClients),
        );
        this.#add(of, name, IDLE_TURN, result, foreignCores);
      } finally {
        await contender[Symbol.asyncDispose]();
      }
    }
  }
}

function isOfContenders({ work }: Case): boolean {
  return work.kind !== "idle" && work.kind !== "ormMiss" && work.kind !== "workers";
}

async function startServer(world: World): Promise<TestPostgres> {
  const databases = world === "single" ? ["app"] : SHARDS;
  const server = await startPostgres({ databases, settings: SETTINGS });
  if (world === "single") await server.query("app", SINGLE_SETUP);
  else
    for (const [index, database] of SHARDS.entries())
      await server.query(database, shardSetup(index));
  for (const database of databases) await server.query(database, "VACUUM ANALYZE");
  return server;
}

/** Right after the server's start it is all there is below us. */
async function serverPids(server: TestPostgres): Promise<readonly number[]> {
  await server.query("postgres", "SELECT 1");
  return treeOf([process.pid]).filter((pid) => pid !== process.pid);
}

/** Result and COPY TO read what stands here; COPY FROM empties it. */
async function refill(server: TestPostgres, gigabytes: number): Promise<void> {
  await server.query("app", "TRUNCATE bulk");
  await server.query("app", fillBulk(bulkRows(gigabytes)));
}
