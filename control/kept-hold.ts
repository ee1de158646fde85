/**
 * What is known of proxies after a change was made under a hold. Who has told that it holds back need not be
 * waited for any more: the row of a hold decides its end, and whoever reads of that reads of the change, too.
 */
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { ControlDatabase } from "./control-database.ts";
import type { ProxyRow } from "./fleet-state.ts";

/** Which of the holds of one name. */
export interface StartedHold {
  readonly name: string;
  readonly attempt: number;
}

/** The one of this name that proxies were last to obey, over or not: what a change has kept is this one until the next is started. */
export async function lastStartedHold(
  database: ControlDatabase,
  name: string,
): Promise<StartedHold | undefined> {
  const [row] = await database.query(
    `SELECT max(attempt) FROM colonnade.hold WHERE name = ${quoteLiteral(name)} AND started_at IS NOT NULL`,
  );
  const attempt = row?.[0] ?? undefined;
  return attempt === undefined ? undefined : { name, attempt: Number(attempt) };
}

/**
 * Whether it has told that it obeys the hold, with nothing open any more. Then it uses none of the placements until it has
 * read that the hold is over, and with that what was put in force under it: also if it is silent from now on.
 */
export function holdsBack(proxy: Pick<ProxyRow, "holds">, hold: StartedHold): boolean {
  return proxy.holds.some(
    ({ name, attempt, open }) => name === hold.name && attempt === hold.attempt && open === 0,
  );
}
