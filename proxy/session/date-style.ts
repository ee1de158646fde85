/**
 * DateStyle says two things, how dates are written and in which order their parts are read, and a
 * value that names one alone leaves the other as it stands (`check_datestyle()` in PostgreSQL's
 * variable.c). What is said again to another backend, or later, says both: what stands there is
 * another.
 */
import { quoteLiteral } from "../../base/sql-quoting.ts";
import type { SettingPlan } from "../../planner/session-plan.ts";

const NAME = "datestyle";

/** `German` is day first. */
const STYLE = /^(?:iso|sql|postgres.*|german)$/i;
const ORDER = /^(?:[ymd]{3}|us|(?:non)?euro.*|german)$/i;

/** A startup packet, whose value PostgreSQL reads before it knows of the role or the database. `configured`: what the configuration says. */
export function withDateStyle(
  startup: ReadonlyMap<string, string>,
  configured: string,
): ReadonlyMap<string, string> {
  return new Map(
    [...startup].map(([name, value]) => [
      name,
      name.toLowerCase() === NAME ? whole(value, configured) : value,
    ]),
  );
}

function whole(value: string, configured: string): string {
  const given = value.split(",").map((word) => word.trim());
  const words = given.filter((word) => word.toLowerCase() !== "default");
  // What is neither is refused with its own words.
  if (words.some((word) => !STYLE.test(word) && !ORDER.test(word))) return value;
  const [style = "", order = ""] = configured.split(", ");
  if (!words.some((word) => STYLE.test(word))) words.push(style);
  if (!words.some((word) => ORDER.test(word))) words.push(order);
  return words.join(", ");
}

/** What a SET that has run has made, in words that mean the same anywhere. `parameters`: of the backend that has run it. */
export function settledSetting(
  plan: SettingPlan,
  parameters: ReadonlyMap<string, string> | undefined,
): SettingPlan {
  const value = parameters?.get("DateStyle");
  if (plan.name !== NAME || plan.action !== "set" || value === undefined) return plan;
  const scope = plan.scope === "local" ? "LOCAL" : "SESSION";
  return { ...plan, sql: `SET ${scope} ${NAME} TO ${quoteLiteral(value)}` };
}
