/** What a rule of the machine answers; machine.ts adds what is to be done. */
import type { Life, Migration } from "./life.ts";

export type Outcome =
  | { readonly kind: "moved"; readonly migration: Migration }
  | { readonly kind: "refused"; readonly because: readonly string[] }
  | { readonly kind: "ignored" };

export const IGNORED: Outcome = { kind: "ignored" };

export function moved(migration: Migration): Outcome {
  return { kind: "moved", migration };
}

export function refused(...because: readonly string[]): Outcome {
  return { kind: "refused", because };
}

export function into(migration: Migration, life: Life): Outcome {
  return moved({ ...migration, life });
}

/** With a ticket that no transaction on any server has borne yet. */
export function withNewTicket(migration: Migration, life: Life): Outcome {
  return moved({ ...migration, ticket: migration.ticket + 1, life });
}
