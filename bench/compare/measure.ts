/** One slice of one case: the load is run, and what it took is read from it and from /proc. */
import { invariant, unreachable } from "../../base/invariant.ts";
import { runPgbench } from "../../test/pgbench/pgbench.ts";
import type { TestPostgres } from "../../test/support/postgres.ts";
import type { Case, Work } from "./cases.ts";
import type { Contender } from "./contenders/contender.ts";
import { bulkRows } from "./data.ts";
import { runLoad } from "./load/request.ts";
import type { LoadRequest, LoadTarget } from "./load/request.ts";
import { machineSeconds, peakBytes, resetPeak, residentBytes, treeSeconds } from "./proc.ts";
import type { Slice, Values } from "./slice.ts";

const HOST = "127.0.0.1";
const MEGABYTE = 2 ** 20;

export interface SliceOf {
  readonly of: Case;
  readonly contender: Contender;
  readonly server: TestPostgres;
  readonly turn: number;
  readonly seconds: number;
  readonly gigabytes: number;
}

/** The benchmark's own processes, the server among them, are all below this one. */
export async function measureSlice(slice: SliceOf): Promise<Slice> {
  const { of, contender, turn } = slice;
  const { result, foreignCores } = await besideOthers(() => measured(slice));
  return { case: of.name, contender: contender.name, turn, values: result, foreignCores };
}

/** Runs the work, and says how many cores were busy with what is none of ours meanwhile. */
export async function besideOthers<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly foreignCores: number }> {
  const [machine, ours, start] = [machineSeconds(), treeSeconds([process.pid]), performance.now()];
  const result = await work();
  const seconds = (performance.now() - start) / 1_000;
  const busy = machineSeconds() - machine - (treeSeconds([process.pid]) - ours);
  return { result, foreignCores: Math.max(0, busy / seconds) };
}

function measured(slice: SliceOf): Promise<Values> {
  const { work } = slice.of;
  switch (work.kind) {
    case "pgbench":
      return pgbench(slice, work);
    case "closed":
      return closed(slice, work);
    case "paced":
      return paced(slice, work);
    case "bulk":
      return bulk(slice, work.direction);
    case "idle":
    case "ormMiss":
    case "workers":
      throw new TypeError(`${slice.of.name} is not measured in turns of contenders`);
    default:
      return unreachable(work);
  }
}

async function pgbench(
  { of, contender, seconds }: SliceOf,
  work: Work & { kind: "pgbench" },
): Promise<Values> {
  const before = treeSeconds(contender.pids);
  const { protocol, clients } = work;
  const result = await runPgbench({
    host: HOST,
    port: contender.port,
    database: contender.database(of.prepares),
    protocol,
    clients,
    seconds,
    script: work.scripts[contender.dialect],
  });
  invariant(result.failed === 0, `no transaction of pgbench fails: ${result.output}`);
  return { perSecond: result.perSecond, ...cpuOf(contender, before, result.transactions) };
}

async function closed(
  { of, contender, seconds, turn }: SliceOf,
  work: Work & { kind: "closed" },
): Promise<Values> {
  const before = treeSeconds(contender.pids);
  const { kind, style, clients, pipeline } = work;
  // The same texts for all contenders of a turn, and others in the next.
  const request: LoadRequest = { kind, style, clients, pipeline, seconds, seed: turn };
  const result = await runLoad(targetOf(contender, of), request);
  return {
    perSecond: result.answers / result.seconds,
    ...cpuOf(contender, before, result.answers),
    p50Microseconds: result.p50Microseconds,
    p99Microseconds: result.p99Microseconds,
  };
}

async function paced(
  { of, contender, seconds }: SliceOf,
  { kind, style, clients, perSecond }: Work & { kind: "paced" },
): Promise<Values> {
  const before = treeSeconds(contender.pids);
  const result = await runLoad(targetOf(contender, of), {
    kind,
    style,
    clients,
    seconds,
    perSecond,
  });
  return {
    p50Microseconds: result.p50Microseconds,
    p99Microseconds: result.p99Microseconds,
    ...cpuOf(contender, before, result.answers),
  };
}

async function bulk(
  { of, contender, server, gigabytes }: SliceOf,
  direction: "result" | "copyIn" | "copyOut",
): Promise<Values> {
  const rows = bulkRows(gigabytes);
  if (direction === "copyIn") await server.query("app", "TRUNCATE bulk");
  const resident = residentBytes(contender.pids);
  resetPeak(contender.pids);
  const result = await runLoad(targetOf(contender, of), requestOf(direction, rows));
  const megabytesPerSecond = result.bytes / MEGABYTE / result.seconds;
  if (contender.pids.length === 0) return { megabytesPerSecond };
  const peakMegabytes = Math.max(0, peakBytes(contender.pids) - resident) / MEGABYTE;
  return { megabytesPerSecond, peakMegabytes };
}

function requestOf(direction: "result" | "copyIn" | "copyOut", rows: number): LoadRequest {
  switch (direction) {
    case "result":
      return { kind: "read", sql: "SELECT id, body FROM bulk", rows };
    case "copyOut":
      return { kind: "read", sql: "COPY bulk (id, body) TO STDOUT", rows };
    case "copyIn":
      return { kind: "copyIn", sql: "COPY bulk (id, body) FROM STDIN", rows };
    default:
      return unreachable(direction);
  }
}

function targetOf({ port, database }: Contender, { prepares }: Case): LoadTarget {
  return { host: HOST, port, database: database(prepares) };
}

/** Of the processes between client and server, for each answer. */
function cpuOf({ pids }: Contender, before: number, answers: number): Values {
  if (pids.length === 0) return {};
  return { cpuMicroseconds: ((treeSeconds(pids) - before) * 1e6) / answers };
}
