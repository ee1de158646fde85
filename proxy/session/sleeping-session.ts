/**
 * What a session leaves behind when it goes to sleep: all of it that another one for the same client
 * could not make anew. Most clients of a large fleet are idle at any time, and most of those have
 * neither settings of their own nor anything prepared, so that nearly nothing is left of them.
 */
import type { Client } from "./client.ts";
import { withDateStyle } from "./date-style.ts";
import type { Listening } from "./listening.ts";
import type { Portals } from "./portals.ts";
import { PreparedStatements } from "./prepared-statements.ts";
import { Responder } from "./responder.ts";
import { SequenceValues } from "./sequence-values.ts";
import type { SessionServices } from "./session-services.ts";
import { sessionStatus } from "./session-status.ts";
import type { SessionStatus } from "./session-status.ts";
import type { SessionTimeouts } from "./session-timeouts.ts";
import { SessionSettings } from "./settings.ts";
import type { StatementRunner } from "./statement-runner.ts";

export interface SleepingSession {
  /** Undefined where they are those of the startup packet. */
  readonly settings: SessionSettings | undefined;
  /** Undefined where there are none. */
  readonly prepared: PreparedStatements | undefined;
  /** Undefined where none was drawn. */
  readonly sequenceValues: SequenceValues | undefined;
  /** What the client was last told of its settings; shared with all clients alike. */
  readonly told: ReadonlyMap<string, string>;
  readonly statementCount: number;
}

export interface RestingParts {
  readonly runner: StatementRunner;
  readonly portals: Portals;
  readonly listening: Listening;
  readonly timeouts: SessionTimeouts;
}

/** What of a session is a client's own, and not made of the rest. */
export interface SessionState {
  readonly settings: SessionSettings;
  readonly prepared: PreparedStatements;
  readonly sequenceValues: SequenceValues;
  readonly responder: Responder;
}

/** Of a client that is new, where nothing `slept`. */
export function sessionState(
  client: Client,
  { configuredDateStyle }: Pick<SessionServices, "configuredDateStyle">,
  slept: SleepingSession | undefined,
): SessionState {
  const startup = (): SessionSettings =>
    new SessionSettings(withDateStyle(client.settings, configuredDateStyle));
  return {
    settings: slept?.settings ?? startup(),
    prepared: slept?.prepared ?? new PreparedStatements(),
    sequenceValues: slept?.sequenceValues ?? new SequenceValues(client.processId),
    responder: new Responder(client, slept?.told),
  };
}

/** Nothing is open or under way that only the session itself could go on with. */
export function maySleep({ runner, portals, listening, timeouts }: RestingParts): boolean {
  const { transaction, pins } = runner;
  const { lent, pinned, wait } = runner.backends.use;
  return (
    transaction.current === undefined &&
    !transaction.mayHaveChangedSettings &&
    !transaction.mayHaveNotified &&
    pins.areNone &&
    lent.length === 0 &&
    pinned === undefined &&
    wait === undefined &&
    portals.isEmpty &&
    listening.isQuiet &&
    timeouts.areNone
  );
}

export function sleepingSession(
  { settings, prepared, sequenceValues, responder }: SessionState,
  statementCount: number,
): SleepingSession {
  return {
    settings: settings.areUntouched ? undefined : settings,
    prepared: prepared.size === 0 ? undefined : prepared,
    sequenceValues: sequenceValues.areNone ? undefined : sequenceValues,
    told: responder.parameters,
    statementCount,
  };
}

const NOTHING_USED = { lent: [], cancelling: [], pinned: undefined, wait: undefined };

export function sleepingStatus({ told, prepared, statementCount }: SleepingSession): SessionStatus {
  return sessionStatus({
    isActive: false,
    transaction: "idle",
    use: NOTHING_USED,
    pinned: NO_REASONS,
    applicationName: told.get("application_name") ?? "",
    statementCount,
    preparedCount: prepared?.size ?? 0,
  });
}

const NO_REASONS: ReadonlySet<never> = new Set<never>();
