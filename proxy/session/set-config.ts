/**
 * `SELECT set_config(...)`: a SET that is written as a query. It runs in the catalog database for
 * its answer, and follows the client from backend to backend as any SET does.
 */
import { SqlError } from "../../base/sql-error.ts";
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { isOn } from "../../planner/boolean-word.ts";
import type { SettingPlan } from "../../planner/session-plan.ts";
import type { SessionTerm, SetConfigCall } from "../../planner/session-values.ts";
import { modesOfSetting } from "../../planner/transaction-modes.ts";
import { settingRefusal } from "../../planner/utility-settings.ts";
import type { FragmentProtocol } from "../execution/fragment-request.ts";

/** What each call sets, in order. Throws for what may not be set. */
export function settingsOf(
  calls: readonly SetConfigCall[],
  protocol: FragmentProtocol,
): readonly SettingPlan[] {
  return calls.flatMap((call) => {
    const name = textOf(call.name, protocol);
    // The server refuses to set nothing.
    if (name === null) return [];
    const value = textOf(call.value, protocol);
    // It would be the server's default and not that of the client's startup packet.
    if (value === null) {
      throw new SqlError("setting_not_supported", "set_config() to NULL is not supported", {
        hint: "Use RESET.",
      });
    }
    refuse(name, value);
    const scope = isOn(textOf(call.isLocal, protocol, true) ?? "") ? "local" : "session";
    return [settingPlan(name, value, scope)];
  });
}

function refuse(name: string, value: string): void {
  const refused = settingRefusal(name.toLowerCase(), value);
  if (refused === undefined) return;
  const { detail, hint } = refused.details;
  throw new SqlError(refused.id, refused.message, { detail, hint });
}

function settingPlan(name: string, value: string, scope: SettingPlan["scope"]): SettingPlan {
  return {
    kind: "setting",
    sql: `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, ${String(scope === "local")})`,
    command: "SET",
    name: name.toLowerCase(),
    scope,
    action: "set",
    modes: modesOfSetting(name.toLowerCase(), value),
  };
}

function textOf(term: SessionTerm, protocol: FragmentProtocol, isBoolean = false): string | null {
  if (term.kind === "constant") return term.text;
  const parameter = protocol.kind === "extended" ? protocol.parameters[term.number - 1] : undefined;
  const value = parameter?.value ?? null;
  if (value === null) return null;
  if (isBoolean && parameter?.format === "binary") return value[0] === 1 ? "true" : "false";
  return value.toString("utf8");
}
