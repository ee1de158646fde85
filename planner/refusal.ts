/**
 * A refusal as data: what a plan says to a client if it turns out to need what the proxy
 * cannot give. Kept in cached plans, so it is not an Error until it is thrown.
 */
import { SqlError, type ErrorId } from "../base/sql-error.ts";
import type { ParsedStatement } from "./parse.ts";

export interface Refusal {
  readonly id: ErrorId;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** One-based, in characters of the statement's text; undefined where no place is known. */
  readonly position: number | undefined;
}

export interface RefusalDetails {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** A location of the tree, or undefined. */
  readonly location?: number | undefined;
}

/** As the analysis makes it, before its place is counted in characters. */
export interface RefusalDraft {
  readonly id: ErrorId;
  readonly message: string;
  readonly details: RefusalDetails;
}

export function refusal(id: ErrorId, message: string, details: RefusalDetails = {}): RefusalDraft {
  return { id, message, details };
}

export function placeRefusal(draft: RefusalDraft, statement: ParsedStatement): Refusal {
  const { detail, hint, location } = draft.details;
  const position =
    location === undefined || location < 0 ? undefined : statement.positionOf(location);
  return { id: draft.id, message: draft.message, detail, hint, position };
}

export function refusalError({ id, message, detail, hint, position }: Refusal): SqlError {
  return new SqlError(id, message, { detail, hint, position });
}

/** Thrown while a statement is analyzed; its planner, which has the text, makes the SqlError of it. */
export class PlanRefused extends Error {
  override readonly name = "PlanRefused";
  readonly draft: RefusalDraft;

  constructor(draft: RefusalDraft) {
    super(draft.message);
    this.draft = draft;
  }
}

export function refuse(id: ErrorId, message: string, details: RefusalDetails = {}): never {
  throw new PlanRefused(refusal(id, message, details));
}

/** Runs a part of the planner that others may stand in for: undefined where it refuses. */
export function unlessRefused<T>(plan: () => T): T | undefined {
  const outcome = plannedOrRefused(plan);
  return outcome.kind === "planned" ? outcome.value : undefined;
}

/** Runs a part of the planner whose refusal is told later, if at all. */
export function plannedOrRefused<T>(
  plan: () => T,
):
  | { readonly kind: "planned"; readonly value: T }
  | { readonly kind: "refused"; readonly draft: RefusalDraft } {
  try {
    return { kind: "planned", value: plan() };
  } catch (error) {
    if (error instanceof PlanRefused) return { kind: "refused", draft: error.draft };
    throw error;
  }
}

/** Runs a part of the planner and turns its refusal into the error a client reads. */
export function withRefusals<T>(statement: ParsedStatement, plan: () => T): T {
  try {
    return plan();
  } catch (error) {
    if (error instanceof PlanRefused) throw refusalError(placeRefusal(error.draft, statement));
    throw error;
  }
}
