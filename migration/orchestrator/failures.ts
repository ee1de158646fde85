/** What an error means to a migration: a server that is away is waited for, everything else is told to the machine. */
import { SqlError } from "../../base/sql-error.ts";
import type { ErrorId } from "../../base/sql-error.ts";
import { BackendError } from "../../proxy/backend/backend-connection.ts";
import type { StopReason } from "../machine/life.ts";

export type Failure =
  /** It may work when it is tried again. */
  | { readonly kind: "away"; readonly detail: string }
  /** Another orchestrator has taken over: this one acts no more. */
  | { readonly kind: "superseded"; readonly detail: string }
  | { readonly kind: "slotLost"; readonly detail: string }
  | { readonly kind: "failed"; readonly because: StopReason; readonly detail: string };

export function failureOf(error: unknown): Failure {
  if (error instanceof SqlError) return ofOurs(error);
  if (error instanceof BackendError) return ofServer(error);
  throw error;
}

const AWAY: ReadonlySet<ErrorId> = new Set([
  "backend_unavailable",
  "backend_starting",
  "backend_too_many_connections",
  "backend_lost",
]);

const REASONS: Partial<Readonly<Record<ErrorId, StopReason>>> = {
  migration_row_unroutable: "apply_not_exact",
  migration_row_mismatch: "apply_not_exact",
  migration_copy_mismatch: "rows_differ",
  migration_value_missing: "apply_not_exact",
  migration_old_row_missing: "apply_not_exact",
  migration_truncate_refused: "apply_not_exact",
  migration_foreign_write: "foreign_write",
  migration_reference_missing: "reference_missing",
  migration_schema_changed: "schema_changed",
  migration_table_unsupported: "schema_changed",
  hold_not_possible: "proxy_silent",
};

function ofOurs({ id, message, detail }: SqlError): Failure {
  const told = detail === undefined ? message : `${message}. ${detail}`;
  if (AWAY.has(id)) return { kind: "away", detail: told };
  if (id === "migration_epoch_lost") return { kind: "superseded", detail: told };
  if (id === "migration_slot_lost") return { kind: "slotLost", detail: told };
  return { kind: "failed", because: REASONS[id] ?? "server_refused", detail: told };
}

/** Of a key that two rows have: two sources', or one that somebody has written into a target. */
const UNIQUE_VIOLATION = "23505";

/** Connections, shutdowns, resources, locks, and transactions that another one broke. */
const PASSING = /^(?:08|53|57P0[1-5]|40001|40P01|55P03|55006|57014)/;

function ofServer({ message, fields }: BackendError): Failure {
  const { C: sqlstate = "", D: more } = fields;
  const detail = `${message} (${sqlstate})${more === undefined ? "" : `: ${more}`}`;
  if (PASSING.test(sqlstate)) return { kind: "away", detail };
  const because = sqlstate === UNIQUE_VIOLATION ? "keys_collide" : "server_refused";
  return { kind: "failed", because, detail };
}
