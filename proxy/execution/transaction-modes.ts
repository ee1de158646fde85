/** The modes of a transaction, as the SQL that sets them. */
import { SqlError } from "../../base/sql-error.ts";
import type { TransactionModes } from "../../planner/session-plan.ts";

/** All of its statements see one snapshot, which the first of them to need one takes. */
export function isOfOneSnapshot(isolation: TransactionModes["isolation"]): boolean {
  return isolation === "repeatable read" || isolation === "serializable";
}

/** As the check hooks of the settings do (variable.c), which no database may have been asked yet. */
export function refuseInSubtransaction(now: TransactionModes, modes: TransactionModes): void {
  const { isolation = "read committed" } = now;
  const message =
    isolation !== (modes.isolation ?? isolation)
      ? "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction"
      : now.readOnly === true && modes.readOnly === false
        ? "cannot set transaction read-write mode inside a read-only transaction"
        : modes.deferrable !== undefined
          ? "SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction"
          : undefined;
  if (message !== undefined) throw new SqlError("mode_after_savepoint", message);
}

export function beginStatement(modes: TransactionModes): string {
  const names = modeNames(modes);
  return names.length === 0 ? "BEGIN" : `BEGIN ${names.join(", ")}`;
}

export function setTransaction(names: readonly string[]): string {
  return `SET TRANSACTION ${names.join(", ")}`;
}

/** An isolation level is never among them: PostgreSQL refuses to change it after a savepoint. */
export function changedModes(from: TransactionModes, to: TransactionModes): TransactionModes {
  return {
    isolation: from.isolation === to.isolation ? undefined : to.isolation,
    readOnly: from.readOnly === to.readOnly ? undefined : to.readOnly,
    deferrable: from.deferrable === to.deferrable ? undefined : to.deferrable,
  };
}

export function modeNames({
  isolation,
  readOnly,
  deferrable,
}: TransactionModes): readonly string[] {
  return [
    isolation === undefined ? undefined : `ISOLATION LEVEL ${isolation.toUpperCase()}`,
    readOnly === undefined ? undefined : readOnly ? "READ ONLY" : "READ WRITE",
    deferrable === undefined ? undefined : deferrable ? "DEFERRABLE" : "NOT DEFERRABLE",
  ].filter((name) => name !== undefined);
}
