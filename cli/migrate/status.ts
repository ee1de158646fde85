/** `colonnade migrate list|status`: which migrations there are, and how each came to where it is. */
import { setTimeout as sleep } from "node:timers/promises";
import { MIGRATION_EVENTS_PRINTED, MIGRATION_WATCH_MS } from "../../base/limits.ts";
import type { ControlDatabase } from "../../control/control-database.ts";
import { listObjects } from "../../control/migration-objects.ts";
import type { MigrationObject } from "../../control/migration-objects.ts";
import { readEvents } from "../../control/migration-store.ts";
import type { LoggedEvent } from "../../control/migration-store.ts";
import { isTrafficHeld, ownerOf } from "../../migration/machine/life.ts";
import type { Life } from "../../migration/machine/life.ts";
import { withControl } from "../control-access.ts";
import type { ControlFlags } from "../control-access.ts";
import { printJson, printLines } from "../output.ts";
import { tableLines } from "../table-lines.ts";
import { copyLine, copyProgressOf, progressOf, streamLine } from "./progress.ts";
import type { CopyProgress, Look, StreamProgress } from "./progress.ts";
import { knownMigration, knownMigrations } from "./stored-migrations.ts";
import type { KnownMigration } from "./stored-migrations.ts";

export interface StatusFlags extends ControlFlags {
  readonly watch?: true;
}

interface Summary {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly detail: string;
  readonly owner: "sources" | "targets";
  readonly isTrafficHeld: boolean;
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  readonly epoch: number;
  readonly ticket: number;
  readonly mapFrom: number;
  readonly mapTo: number;
  readonly rows: number;
  readonly bytes: number;
  readonly changedAt: string;
  readonly createdBy: string;
}

export async function listCommand(flags: ControlFlags): Promise<void> {
  const all = await withControl(flags, async (database) =>
    (await knownMigrations(database)).map(summaryOf),
  );
  if (flags.json === true) printJson(all);
  else printLines(listLines(all));
}

/** `--watch`: prints it again with every change, until the migration is over. */
export async function statusCommand(name: string, flags: StatusFlags): Promise<void> {
  await withControl(flags, async (database) => {
    let before: Look | undefined;
    for (let printed = ""; ;) {
      const status = await statusOf(database, name, before);
      before = status.copying && {
        rows: status.copying.rows,
        seconds: performance.now() / 1_000,
      };
      const text = JSON.stringify(status);
      if (text !== printed) print(status, flags);
      printed = text;
      if (flags.watch !== true || isOver(status.state)) return;
      await sleep(MIGRATION_WATCH_MS);
    }
  });
}

function isOver(state: string): boolean {
  return state === "completed" || state === "cancelled";
}

type Status = Summary & {
  readonly copying: CopyProgress | undefined;
  readonly streams: readonly StreamProgress[];
  readonly objects: readonly MigrationObject[];
  readonly events: readonly LoggedEvent[];
};

async function statusOf(database: ControlDatabase, name: string, before?: Look): Promise<Status> {
  const known = await knownMigration(database, name);
  const objects = (await listObjects(database)).filter(({ migration }) => migration === name);
  const events = await readEvents(database, name, MIGRATION_EVENTS_PRINTED);
  const streams = await progressOf(database, known);
  const nowSeconds = performance.now() / 1_000;
  const copying = await copyProgressOf(database, known, streams, { before, nowSeconds });
  return { ...summaryOf(known), copying, streams, objects, events };
}

function summaryOf({ stored, plan }: KnownMigration): Summary {
  const { document, changedAt, createdBy } = stored;
  const { kind, mapFrom, mapTo, rows, bytes } = plan;
  return {
    name: document.name,
    kind,
    state: document.life.state,
    detail: detailOf(document.life),
    owner: ownerOf(document),
    isTrafficHeld: isTrafficHeld(document),
    ...document.parties,
    epoch: document.epoch,
    ticket: document.ticket,
    mapFrom,
    mapTo,
    rows,
    bytes,
    changedAt,
    createdBy,
  };
}

/** What the state alone does not say. */
function detailOf(life: Life): string {
  switch (life.state) {
    case "setup":
      return life.step;
    case "stopped":
      return `at ${life.at.state}, ${life.because}: ${life.detail}`;
    case "pausing":
      return `${life.direction}, ${life.phase}`;
    case "fenced":
    case "drained":
    case "retreating":
    case "switched":
      return life.direction;
    case "reversible":
      return `the way back is ${life.reverse === "live" ? "open" : "lost"}`;
    default:
      return "isPaused" in life && life.isPaused ? "paused" : "";
  }
}

function print(status: Status, flags: StatusFlags): void {
  if (flags.json === true) printJson(status);
  else printLines(statusLines(status));
}

function listLines(all: readonly Summary[]): readonly string[] {
  if (all.length === 0) return ["no migration is planned: colonnade migrate plan --to FILE"];
  return tableLines(
    ["migration", "kind", "state", "", "from", "to", "map", "rows", "since"],
    all.map((each) => [
      each.name,
      each.kind,
      each.state,
      each.detail,
      each.sources.join(", "),
      each.targets.join(", "),
      `${each.mapFrom} to ${each.mapTo}`,
      String(each.rows),
      `${each.changedAt} UTC`,
    ]),
  );
}

function statusLines(status: Status): readonly string[] {
  const { name, kind, state, detail, owner, sources, targets, epoch, ticket } = status;
  return [
    `${name}: ${state}${detail === "" ? "" : ` (${detail})`}`,
    `  ${kind}, from ${sources.join(", ")} to ${targets.join(", ")}, about ${status.rows} rows, ${status.bytes} bytes`,
    `  the rows are owned by ${(owner === "sources" ? sources : targets).join(", ")}${status.isTrafficHeld ? ", and statements for them wait" : ""}`,
    `  shard map ${status.mapFrom} to ${status.mapTo}, epoch ${epoch}, ticket ${ticket}, planned by ${status.createdBy}`,
    ...(status.copying === undefined ? [] : [copyLine(status.copying)]),
    ...status.streams.map(streamLine),
    ...status.objects.map(
      ({ database, kind: what, name: object }) => `  has made ${what} ${object} in ${database}`,
    ),
    ...status.events.map(({ at, what, state: into }) => `  ${at} UTC  ${what}: ${into}`),
  ];
}
