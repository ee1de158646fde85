/**
 * What is lost, when, what the client is told and what then holds: the rows of docs/failures.md,
 * each with the play that shows it (outcomes.postgres.test.ts runs them).
 *
 * The proxy's connections go through gates, so that one is cut at exactly the moment that a row names.
 */
import { BACKEND_LOST } from "./backend-losses.ts";
import type { LossGroup } from "./loss-case.ts";
import { CATALOG_LOST, CLIENT_LOST } from "./other-losses.ts";

export const LOSSES: readonly LossGroup[] = [BACKEND_LOST, CLIENT_LOST, CATALOG_LOST];
