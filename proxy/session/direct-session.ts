/** What the direct path sees of its session. */
import type { SessionBackends } from "../execution/session-backends.ts";
import type { Client } from "./client.ts";
import type { Commands } from "./commands.ts";
import type { Listening } from "./listening.ts";
import type { Portals } from "./portals.ts";
import type { PreparedStatements } from "./prepared-statements.ts";
import type { Responder } from "./responder.ts";
import type { SessionServices } from "./session-services.ts";
import type { StatementRunner } from "./statement-runner.ts";

export interface DirectSession {
  readonly client: Client;
  readonly services: SessionServices;
  readonly runner: StatementRunner;
  readonly backends: SessionBackends;
  readonly commands: Commands;
  readonly responder: Responder;
  readonly listening: Listening;
  readonly prepared: PreparedStatements;
  readonly portals: Portals;
  /** Nothing runs, and nothing of a pipeline is skipped. */
  readonly isReady: () => boolean;
  /** Nothing ends the session. */
  readonly mayGoOn: () => boolean;
  /** A statement is taken. */
  readonly started: () => void;
  /**
   * Does it as a statement of the session's, and tells the client that it may go on; before that,
   * what it has thrown. Never rejects.
   */
  readonly during: (work: (signal: AbortSignal) => Promise<void>) => Promise<void>;
  /** Something taken has been answered. */
  readonly rested: () => void;
}
