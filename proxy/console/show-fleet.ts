/** SHOW PROXIES and SHOW MIGRATIONS: what the control schema says, where this proxy follows one. */
import { FLEET_SILENT_MS } from "../../base/limits.ts";
import type { ConsoleSources, MigrationFacts, OtherProxy } from "./console-sources.ts";
import { column, show } from "./show.ts";

type ProxyRow =
  | { readonly kind: "this"; readonly from: ConsoleSources; readonly problem: string | undefined }
  | { readonly kind: "other"; readonly proxy: OtherProxy };

export const SHOW_PROXIES = show<ProxyRow>({
  name: "proxies",
  help: "This proxy first, and then those that follow the same control schema, as it has them.",
  rows: proxyRows,
  columns: [
    column(
      "id",
      "text",
      "Its id, which changes with each start; under `--control` the one that colonnade control status has.",
      (row) => (row.kind === "this" ? (row.from.fleet?.self ?? row.from.process.id) : row.proxy.id),
    ),
    column("host", "text", "The machine's name.", (row) =>
      row.kind === "this" ? row.from.process.hostname : row.proxy.host,
    ),
    column("pid", "integer", "Its process.", (row) =>
      row.kind === "this" ? row.from.process.pid : row.proxy.pid,
    ),
    column("port", "integer", "For clients.", (row) =>
      row.kind === "this" ? row.from.process.ports().port : row.proxy.port,
    ),
    column("admin_port", "integer", "For /metrics and its like; NULL of another one.", (row) =>
      row.kind === "this" ? (row.from.process.ports().adminPort ?? null) : null,
    ),
    column("version", "text", "Its version.", (row) =>
      row.kind === "this" ? row.from.process.version : row.proxy.version,
    ),
    column("map_version", "integer", "Of the map it serves.", (row) =>
      row.kind === "this" ? row.from.map().version : row.proxy.mapVersion,
    ),
    column(
      "state",
      "text",
      "`serving`, `not ready` or `draining`; of another one `following`, `not following`, or `silent` where it has not been heard of for 5 s.",
      (row) => (row.kind === "this" ? row.from.state() : stateOf(row.proxy)),
    ),
    column("started_at", "timestamptz", "When it was started.", (row) =>
      row.kind === "this" ? row.from.process.startedAt : row.proxy.startedAt,
    ),
    column(
      "clients",
      "integer",
      "Connected clients, those of its console included; NULL of another one.",
      (row) => (row.kind === "this" ? row.from.clients().length : null),
    ),
    column(
      "is_this",
      "boolean",
      "Whether it is the one that you ask.",
      (row) => row.kind === "this",
    ),
    column(
      "problem",
      "text",
      "Why it cannot follow; of this one, why the others cannot be told. Else NULL.",
      (row) => (row.kind === "this" ? row.problem : row.proxy.problem) ?? null,
    ),
  ],
});

async function proxyRows(from: ConsoleSources): Promise<readonly ProxyRow[]> {
  try {
    const others = (await from.fleet?.otherProxies()) ?? [];
    return [
      { kind: "this", from, problem: undefined },
      ...others.map((proxy) => ({ kind: "other", proxy }) as const),
    ];
  } catch (error) {
    // Of itself it can tell without anybody.
    const problem = error instanceof Error ? error.message : String(error);
    return [{ kind: "this", from, problem }];
  }
}

function stateOf({ silentMs, problem }: OtherProxy): string {
  if (silentMs > FLEET_SILENT_MS) return "silent";
  return problem === undefined ? "following" : "not following";
}

export const SHOW_MIGRATIONS = show<MigrationFacts>({
  name: "migrations",
  help: "Migrations in the control schema, in the order in which they were made; colonnade migrate status tells more of each. A proxy without a control schema has none.",
  rows: async ({ fleet }) => (await fleet?.migrations()) ?? [],
  columns: [
    column("name", "text", "Its name.", ({ name }) => name),
    column("kind", "text", "What it does: `vertical`, `split` and the like.", ({ kind }) => kind),
    column("state", "text", "Where it is, as colonnade migrate status says.", ({ state }) => state),
    column("sources", "text", "What its rows come from.", ({ sources }) => sources.join(", ")),
    column("targets", "text", "Where they go.", ({ targets }) => targets.join(", ")),
    column("epoch", "bigint", "Counts its orchestrators.", ({ epoch }) => epoch),
    column("ticket", "bigint", "Counts its cutovers.", ({ ticket }) => ticket),
    column("created_by", "text", "Who made it.", ({ createdBy }) => createdBy),
    column("created_at", "timestamptz", "When.", ({ createdAt }) => createdAt),
    column("changed_at", "timestamptz", "When it came to its state.", ({ changedAt }) => changedAt),
  ],
});
