/**
 * PostgreSQL computes and writes each row of a cursor at the FETCH that asks for it, under the
 * settings of then. Rows that the proxy has read ahead, or keeps, are as they were when it read
 * them: they cannot be given under others. Which values a setting can be seen in is not looked
 * at: a text may come from a timestamp, and a condition may depend on the time zone.
 */
import { SqlError } from "../../base/sql-error.ts";
import type { Environment } from "./environment.ts";

export type ShownSettings = Environment["shown"];

/** Throws where a setting is another now than when rows of the cursor were read. */
export function refuseOtherSettings(cursor: string, read: ShownSettings, now: ShownSettings): void {
  for (const [name, value] of now) {
    if (read.get(name) === value) continue;
    throw new SqlError(
      "cursor_settings_changed",
      `rows of cursor "${cursor}" cannot be fetched under another ${name} than they were read under`,
    );
  }
}

/** What holds for rows of which some were read under one and some under the other. */
export function sharedSettings(one: ShownSettings, other: ShownSettings): ShownSettings {
  return new Map([...one].filter(([name, value]) => other.get(name) === value));
}
