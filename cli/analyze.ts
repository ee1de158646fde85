/**
 * `colonnade analyze`: what a workload would cost under a shard map. Statements come from
 * pg_stat_statements, from PostgreSQL logs or from files of SQL; nothing of them is run.
 */
import { writeFileSync } from "node:fs";
import { loadParser } from "../planner/parse.ts";
import type { PlanContext } from "../planner/plan-context.ts";
import type { Catalog } from "../shardmap/catalog.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { observeLog } from "./analyze/log-file.ts";
import type { Observed } from "./analyze/observation.ts";
import { planned } from "./analyze/planned-workload.ts";
import { reportHtml } from "./analyze/report-html.ts";
import { reportText } from "./analyze/report-text.ts";
import { makeReport, type Report } from "./analyze/report.ts";
import { observeStatements } from "./analyze/statement-file.ts";
import { observeStatistics } from "./analyze/statistics.ts";
import { suggest } from "./analyze/suggest.ts";
import { Workload } from "./analyze/workload.ts";
import { CommandFailure, reasonOf } from "./failure.ts";
import { requireMap } from "./input-files.ts";
import { readLiveCatalog } from "./live-databases.ts";
import { catalogOfFile } from "./schema-file.ts";

export interface AnalyzeFlags {
  readonly map: string;
  readonly schema?: string;
  readonly database?: string;
  readonly log: readonly string[];
  readonly logLinePrefix?: string;
  readonly file: readonly string[];
  readonly suggest?: true;
  readonly json?: true;
  readonly html?: string;
}

export async function analyze(flags: AnalyzeFlags): Promise<void> {
  if (flags.database === undefined && flags.log.length + flags.file.length === 0) {
    throw new CommandFailure("analyze needs statements: give --database, --log or --file");
  }
  const map = requireMap(flags.map);
  await loadParser();
  const workload = new Workload();
  for await (const observed of observe(flags)) workload.add(observed);
  const report = await reportOf(workload, map, flags);
  if (flags.html !== undefined) writePage(flags.html, report);
  process.stdout.write(
    flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : reportText(report),
  );
}

async function* observe(flags: AnalyzeFlags): AsyncGenerator<Observed> {
  if (flags.database !== undefined) yield* await observeStatistics(flags.database);
  for (const path of flags.log) yield* observeLog(path, flags.logLinePrefix);
  for (const path of flags.file) yield* observeStatements(path);
}

async function reportOf(workload: Workload, map: ShardMap, flags: AnalyzeFlags): Promise<Report> {
  const context: PlanContext = {
    map,
    catalog: await catalogFor(map, flags),
    searchPath: ["$user", map.canonicalSchema],
    // A workload tells no types of parameters; the planner takes what it can prove without.
    parameterTypes: [],
    user: "postgres",
  };
  const plans = workload.statements.flatMap((statement) => planned(statement, context) ?? []);
  const suggestion = flags.suggest === true ? suggest(workload, plans, context) : undefined;
  const sources = [
    ...(flags.database === undefined ? [] : ["pg_stat_statements"]),
    ...flags.log,
    ...flags.file,
  ];
  return makeReport({ sources, mapFile: flags.map, map, workload, planned: plans, suggestion });
}

/** Of a file, else of the database whose statements are read, else of the map's catalog database. */
async function catalogFor(map: ShardMap, { schema, database }: AnalyzeFlags): Promise<Catalog> {
  if (schema !== undefined) return catalogOfFile(schema, map);
  if (database === undefined) return await readLiveCatalog(map);
  const server = { kind: "url", primary: database, replicas: [] } as const;
  const databases = new Map(map.databases).set(map.catalog, { name: map.catalog, server });
  return await readLiveCatalog({ ...map, databases });
}

function writePage(path: string, report: Report): void {
  try {
    writeFileSync(path, reportHtml(report));
  } catch (cause) {
    const isAbsent = (cause as NodeJS.ErrnoException | null)?.code === "ENOENT";
    const reason = isAbsent ? "there is no such directory" : reasonOf(cause);
    throw new CommandFailure(`cannot write ${path}: ${reason}`, 2, { cause });
  }
}
