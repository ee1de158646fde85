/** SHOW HOLDS: what of the placements this proxy holds back, and what it serves only while its lease lasts. */
import type { HoldReport } from "../execution/holds.ts";
import type { ConsoleSources } from "./console-sources.ts";
import { column, show } from "./show.ts";

interface HeldPlacement {
  readonly placement: string;
  /** Undefined for one that is only leased. */
  readonly hold: HoldReport | undefined;
  readonly leaseMs: number | null;
}

export const SHOW_HOLDS = show<HeldPlacement>({
  name: "holds",
  isOfEachWorker: true,
  help: "Placements that are being moved: held back, or served only while this proxy's lease lasts. Of the fleet, colonnade control status tells.",
  rows: ({ holds }) => heldPlacements(holds),
  columns: [
    column("placement", "text", "Database and schema.", ({ placement }) => placement),
    column(
      "state",
      "text",
      "`held` (new statements wait), `leased` (served while the lease lasts), `refused` (it has run out).",
      ({ hold, leaseMs }) =>
        leaseMs !== null && leaseMs < 0 ? "refused" : hold === undefined ? "leased" : "held",
    ),
    column(
      "lease_ms",
      "bigint",
      "Milliseconds that the lease still lasts; negative where it has run out, NULL where none is needed.",
      ({ leaseMs }) => leaseMs,
    ),
    column("hold", "text", "What holds it; else NULL.", ({ hold }) => hold?.name ?? null),
    column(
      "attempt",
      "integer",
      "Counts the holds of that name.",
      ({ hold }) => hold?.attempt ?? null,
    ),
    column("age_ms", "bigint", "Milliseconds since this proxy holds it.", ({ hold }) =>
      hold === undefined ? null : Math.round(hold.ageMs),
    ),
    column(
      "open",
      "integer",
      "Transactions that use the hold's placements since before it.",
      ({ hold }) => hold?.open ?? null,
    ),
    column(
      "waiting",
      "integer",
      "Statements that wait for the hold's end.",
      ({ hold }) => hold?.waiting ?? null,
    ),
  ],
});

function heldPlacements({ reports, leased, leaseMs }: ConsoleSources["holds"]): HeldPlacement[] {
  const lease = Math.round(leaseMs);
  const held = reports.flatMap((hold) =>
    hold.placements.map((placement): HeldPlacement => {
      return { placement, hold, leaseMs: leased.includes(placement) ? lease : null };
    }),
  );
  const rest = leased.filter((each) => held.every(({ placement }) => placement !== each));
  return [
    ...held,
    ...rest.map((placement) => ({ placement, hold: undefined, leaseMs: lease })),
  ].toSorted((left, right) => (left.placement < right.placement ? -1 : 1));
}
