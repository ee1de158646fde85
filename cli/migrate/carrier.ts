/**
 * What carries changes from where rows are to where they go: the servers' logs, and nothing else.
 * Other carriers that are known elsewhere are refused by name (docs/decisions/0022-the-log-alone-carries-changes.md).
 */
import { CommandFailure } from "../failure.ts";

interface RefusedCarrier {
  readonly name: string;
  /** The names by which people ask for it. */
  readonly asked: RegExp;
  readonly because: string;
}

const REFUSED: readonly RefusedCarrier[] = [
  {
    name: "double-write",
    asked: /^(?:double|dual)[-_]?writes?$/i,
    because:
      "proxies that write to both sides do not see what foreign keys, triggers, functions and clients past them write, and the targets would miss it",
  },
  {
    name: "trigger-log",
    asked: /^triggers?(?:[-_]?logs?)?$/i,
    because:
      "triggers that note changed keys double each write of the moved tables, and the targets would follow keys instead of transactions, so that no change could be held to find exactly one row",
  },
];

const REMEDY =
  "Set wal_level = logical on each server that rows leave or come to, restart it, and plan without --carrier";

/** Exit code 1 where it is one that is refused, 2 where there is no such carrier. */
export function requireCarrier(asked: string): void {
  if (asked === "wal") return;
  const refused = REFUSED.find((carrier) => carrier.asked.test(asked));
  if (refused === undefined)
    throw new CommandFailure(`there is no carrier "${asked}": wal is the only one`);
  const { name, because } = refused;
  throw new CommandFailure(
    `carrier ${name} is refused, wal is the only one: ${because}. ${REMEDY}`,
    1,
  );
}
