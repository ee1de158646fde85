/**
 * What a workload costs under a map, as data: shares of calls and of time by class, the
 * reasons, the tables to fix first, the heaviest statements. Texts, JSON and HTML are made of it.
 */
import type { ShardMap } from "../../shardmap/shard-map.ts";
import type { PlannedStatement, Reason } from "./planned-workload.ts";
import { ROUTE_CLASSES, type RouteClass } from "./route-class.ts";
import type { Suggestion } from "./suggestion.ts";
import type { UnreadCount, Workload } from "./workload.ts";

export interface Weight {
  readonly calls: number;
  /** 0 where no source tells. */
  readonly timeMs: number;
}

export interface Report {
  readonly sources: readonly string[];
  readonly map: string;
  /** Of the statements that were planned, but for those of the class `session`: shares are of these. */
  readonly total: Weight & { readonly statements: number };
  /** Whether `timeMs` means anything. */
  readonly knowsTime: boolean;
  /** Every class, also those without statements. */
  readonly classes: readonly (Weight & {
    readonly class: RouteClass;
    readonly statements: number;
  })[];
  /** Of what is not answered by one placement or one database, the heaviest first. */
  readonly reasons: readonly ReasonReport[];
  /** Those with statements that are refused or go everywhere, the worst first. */
  readonly tables: readonly TableReport[];
  /** Those of `total`, the heaviest first. */
  readonly statements: readonly StatementReport[];
  readonly unread: readonly UnreadCount[];
  /** Tables that neither the map nor the schema has. */
  readonly unknownTables: readonly string[];
  /** Undefined where none was asked for, null where none was found. */
  readonly suggestion: Suggestion | null | undefined;
}

export interface ReasonReport extends Weight, Reason {
  readonly class: RouteClass;
  readonly statements: number;
  readonly tables: readonly string[];
  readonly example: string;
}

export interface TableReport extends Weight {
  readonly table: string;
  /** What the map says of it: `sharded by user_id (users)`. */
  readonly home: string;
  /** Of the statements that name the table. */
  readonly classes: Readonly<Record<RouteClass, Weight>>;
  /** The reason that weighs most. */
  readonly reason: Reason;
}

export interface StatementReport extends Weight {
  readonly class: RouteClass;
  readonly reason: Reason;
  readonly tables: readonly string[];
  readonly sql: string;
  readonly place: string;
}

export interface ReportRequest {
  readonly sources: readonly string[];
  readonly mapFile: string;
  readonly map: ShardMap;
  readonly workload: Workload;
  readonly planned: readonly PlannedStatement[];
  readonly suggestion: Suggestion | null | undefined;
}

export function makeReport(request: ReportRequest): Report {
  const { sources, mapFile, map, workload, planned, suggestion } = request;
  const { knowsTime } = workload;
  const aboutRows = planned.filter((one) => one.class !== "session");
  const byWeight = (left: Weight, right: Weight): number =>
    (knowsTime ? right.timeMs - left.timeMs : 0) || right.calls - left.calls;
  return {
    sources,
    map: mapFile,
    total: { ...weightOf(aboutRows), statements: aboutRows.length },
    knowsTime,
    classes: ROUTE_CLASSES.map((name) => {
      const members = planned.filter((one) => one.class === name);
      return { class: name, ...weightOf(members), statements: members.length };
    }),
    reasons: reasonReports(planned).toSorted(byWeight),
    tables: tableReports(planned, map, byWeight),
    statements: aboutRows.map(statementReport).toSorted(byWeight),
    unread: workload.unread,
    unknownTables: [...new Set(planned.flatMap(({ unknownTables }) => unknownTables))].toSorted(),
    suggestion,
  };
}

export function weightOf(planned: readonly PlannedStatement[]): Weight {
  let calls = 0;
  let timeMs = 0;
  for (const { statement } of planned) {
    calls += statement.calls;
    timeMs += statement.timeMs;
  }
  return { calls, timeMs };
}

/** What can be made better: a statement of one of these classes does more than one database's work. */
const COSTLY: readonly RouteClass[] = ["refused", "gathered", "streamed"];

function reasonReports(planned: readonly PlannedStatement[]): readonly ReasonReport[] {
  const costly = planned.filter((one) => COSTLY.includes(one.class));
  const groups = Map.groupBy(
    costly,
    (one) => `${one.class} ${one.reason.id} ${one.reason.message}`,
  );
  return [...groups.values()].flatMap((members) => {
    const heaviest = heaviestOf(members);
    return heaviest === undefined
      ? []
      : {
          class: heaviest.class,
          ...heaviest.reason,
          ...weightOf(members),
          statements: members.length,
          tables: [...new Set(members.flatMap(({ tables }) => tables))].toSorted(),
          example: heaviest.statement.parsed.text,
        };
  });
}

function heaviestOf(planned: readonly PlannedStatement[]): PlannedStatement | undefined {
  return planned.toSorted(
    ({ statement: left }, { statement: right }) =>
      right.timeMs - left.timeMs || right.calls - left.calls,
  )[0];
}

/** A refused statement cannot run at all, so it comes before any that runs slowly. */
function tableReports(
  planned: readonly PlannedStatement[],
  map: ShardMap,
  byWeight: (left: Weight, right: Weight) => number,
): readonly TableReport[] {
  const names = [...new Set(planned.flatMap(({ tables }) => tables))];
  const reports = names.flatMap((table) => {
    const naming = planned.filter(({ tables }) => tables.includes(table));
    const worst = COSTLY.map((name) => heaviestOf(naming.filter((one) => one.class === name)));
    const reason = worst.find((one) => one !== undefined)?.reason;
    if (reason === undefined) return [];
    const classes = Object.fromEntries(
      ROUTE_CLASSES.map((name) => [name, weightOf(naming.filter((one) => one.class === name))]),
    ) as Record<RouteClass, Weight>;
    return { table, home: homeOf(table, map), ...weightOf(naming), classes, reason };
  });
  return reports.toSorted((left, right) => {
    for (const name of COSTLY) {
      const order = byWeight(left.classes[name], right.classes[name]);
      if (order !== 0) return order;
    }
    return 0;
  });
}

export function homeOf(table: string, { tables, catalog, unlistedTables }: ShardMap): string {
  const known = tables.get(table);
  switch (known?.kind) {
    case "sharded":
      return `sharded by ${known.keyColumns.join(", ")} (${known.colocation.name})`;
    case "reference":
      return "reference table";
    case "group":
      return `group ${known.group.name}`;
    default:
      return unlistedTables === "catalog" ? `unlisted, in ${catalog}` : "unlisted";
  }
}

function statementReport(one: PlannedStatement): StatementReport {
  const { statement, reason, tables } = one;
  const { calls, timeMs, parsed, place } = statement;
  return { class: one.class, reason, tables, calls, timeMs, sql: parsed.text, place };
}
