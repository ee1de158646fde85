/**
 * SET, RESET and SET TRANSACTION. A setting's value is the server's matter, but for the few
 * that change how the proxy itself must read statements and values: those are refused here,
 * and by the session where a start-up packet carries them.
 */
import type { Node, VariableSetStmt } from "@pgsql/types";
import type { SettingPlan, TransactionPlan } from "./session-plan.ts";
import { refusal, PlanRefused, refuse, type RefusalDraft } from "./refusal.ts";
import { isOff, isOn } from "./boolean-word.ts";
import { modesOfSetting, TRANSACTION_SETTINGS, transactionModes } from "./transaction-modes.ts";

export function planSetting(set: VariableSetStmt, sql: string): SettingPlan | TransactionPlan {
  const name = (set.name ?? "").toLowerCase();
  switch (set.kind) {
    case "VAR_RESET_ALL":
      return {
        kind: "setting",
        sql,
        command: "RESET",
        name: undefined,
        scope: "session",
        action: "reset",
        modes: undefined,
      };
    case "VAR_SET_MULTI":
      return planTransactionModes(set, sql);
    case "VAR_SET_CURRENT":
      return refuse("setting_not_supported", `SET ${name} FROM CURRENT is not supported`, {
        hint: "Set the value itself.",
      });
    default: {
      const value =
        set.kind === "VAR_SET_VALUE" ? (set.args ?? []).map(valueText).join(", ") : undefined;
      const refused = settingRefusal(name, value);
      if (refused !== undefined) throw new PlanRefused(refused);
      return {
        kind: "setting",
        sql,
        command: set.kind === "VAR_RESET" ? "RESET" : "SET",
        name,
        scope: scopeOf(set, name),
        action: value === undefined ? "reset" : "set",
        modes: value === undefined ? undefined : modesOfSetting(name, value),
      };
    }
  }
}

function scopeOf(set: VariableSetStmt, name: string): SettingPlan["scope"] {
  const isOfTransaction = TRANSACTION_SETTINGS.has(name) && set.kind === "VAR_SET_VALUE";
  return set.is_local === true || isOfTransaction ? "local" : "session";
}

function valueText(node: Node): string {
  // SET TIME ZONE INTERVAL '1' HOUR is a cast; no refused setting is written so.
  if (!("A_Const" in node)) return "";
  const { sval, ival, fval } = node.A_Const;
  if (sval !== undefined) return sval.sval ?? "";
  return fval?.fval ?? String(ival?.ival ?? 0);
}

function planTransactionModes(set: VariableSetStmt, sql: string): SettingPlan | TransactionPlan {
  if (set.name === "TRANSACTION") {
    return {
      kind: "transaction",
      sql,
      action: { kind: "setModes", modes: transactionModes(set.args) },
    };
  }
  const [mode, ...others] = set.args ?? [];
  if (set.name !== "SESSION CHARACTERISTICS" || mode === undefined || !("DefElem" in mode)) {
    return refuse("setting_not_supported", "SET TRANSACTION SNAPSHOT is not supported", {
      detail: "A snapshot belongs to one database.",
      hint: "Read within one transaction, or import the snapshot past the proxy.",
    });
  }
  if (others.length > 0) {
    return refuse(
      "setting_not_supported",
      "SET SESSION CHARACTERISTICS with several modes is not supported",
      {
        hint: "Set each mode with a statement of its own.",
      },
    );
  }
  return {
    kind: "setting",
    sql,
    command: "SET",
    name: `default_${mode.DefElem.defname}`,
    scope: "session",
    action: "set",
    modes: undefined,
  };
}

/** Settings with the one value under which statements and values mean what the proxy takes them to mean. */
const REQUIRED_VALUES: ReadonlyMap<
  string,
  { readonly isAllowed: (value: string) => boolean; readonly because: string }
> = new Map([
  [
    "standard_conforming_strings",
    {
      isAllowed: isOn,
      because: "The proxy reads backslashes in string literals as the SQL standard does.",
    },
  ],
  [
    "array_nulls",
    { isAllowed: isOn, because: "The proxy reads NULL in an array's text as a null." },
  ],
  [
    "transform_null_equals",
    { isAllowed: isOff, because: "The proxy takes a comparison with NULL as unknown." },
  ],
]);

/** Settings that say who the session is: the proxy does some of its work as the connection's own user. */
export const ROLE_SETTINGS: ReadonlySet<string> = new Set(["role", "session_authorization"]);

/**
 * Why a setting may not be made; undefined where it may. `name` in lower case; `value`
 * undefined for a reset to the server's own default.
 */
export function settingRefusal(name: string, value: string | undefined): RefusalDraft | undefined {
  if (value === undefined) return undefined;
  if (name === "temp_buffers")
    return refusal("setting_not_supported", 'parameter "temp_buffers" cannot be set', {
      detail:
        "It can be set on a backend only before its first temporary table, and other clients' statements may have made some.",
      hint: "Set it in the servers' configuration.",
    });
  const required = REQUIRED_VALUES.get(name);
  if (required === undefined || required.isAllowed(value)) return undefined;
  return refusal("setting_not_supported", `parameter "${name}" cannot be set to "${value}"`, {
    detail: required.because,
  });
}
