/**
 * One client's session from its start to its end, awake or asleep. A session that rests is soon let
 * go of, but for what sleeping-session.ts keeps, and made anew before anything that the client sends
 * is read: nobody outside can tell the difference. Objects that are let go of early have not yet
 * been moved to where the engine gives hardly anything back.
 */
import { SESSION_REST_MS, SESSION_SHORT_REST_MS, SHORT_SLEEPS_MAX } from "../../base/limits.ts";
import type { Client, Sleeper } from "./client.ts";
import { clientReport } from "./client-report.ts";
import type { ClientReport } from "./client-report.ts";
import { Session } from "./session.ts";
import type { SessionServices } from "./session-services.ts";
import { sleepingStatus } from "./sleeping-session.ts";
import type { SleepingSession } from "./sleeping-session.ts";

/** What all of them share. */
export interface ClientSessions {
  readonly services: SessionServices;
  /** Whole milliseconds, of a clock that never goes back. */
  readonly nowMs: () => number;
  readonly awoken: (session: ClientSession) => void;
  readonly over: (session: ClientSession) => void;
}

export class ClientSession implements Sleeper {
  readonly client: Client;
  readonly #all: ClientSessions;
  #state: Session | SleepingSession;
  /** At the last look. */
  #statementCount = -1;
  /** Awake: since when it has been seen to do nothing. Asleep: since when it is. */
  #sinceMs = 0;
  /** How often, in a row, it was woken soon after it had fallen asleep. */
  #shortSleeps = 0;
  #over: () => void;

  /** `over`: called once, at its end. */
  constructor(client: Client, all: ClientSessions, over: () => void) {
    this.client = client;
    this.#all = all;
    this.#over = over;
    this.#state = new Session(client, all.services, undefined);
  }

  start(): void {
    if (this.#state instanceof Session) void this.#run(this.#state, false);
  }

  /** Undefined while it sleeps. */
  get awake(): Session | undefined {
    return this.#state instanceof Session ? this.#state : undefined;
  }

  /** For what cannot be done to one that sleeps. */
  get session(): Session {
    if (!(this.#state instanceof Session)) this.client.rouse();
    return this.#state as Session;
  }

  get report(): ClientReport {
    const state = this.#state;
    const status = state instanceof Session ? state.status : sleepingStatus(state);
    return clientReport(this.client, status);
  }

  /** Called from time to time. Whether it sleeps now. */
  review(nowMs: number): boolean {
    const state = this.#state;
    if (!(state instanceof Session)) return true;
    if (state.statementCount !== this.#statementCount) {
      this.#statementCount = state.statementCount;
      this.#sinceMs = nowMs;
      return false;
    }
    const restMs = this.#shortSleeps > SHORT_SLEEPS_MAX ? SESSION_REST_MS : SESSION_SHORT_REST_MS;
    if (nowMs - this.#sinceMs < restMs) return false;
    const slept = state.sleep(this);
    if (slept === undefined) return false;
    this.#state = slept;
    this.#sinceMs = nowMs;
    return true;
  }

  wake(): void {
    if (this.#state instanceof Session) return;
    const nowMs = this.#all.nowMs();
    this.#shortSleeps = nowMs - this.#sinceMs < SESSION_REST_MS ? this.#shortSleeps + 1 : 0;
    this.#sinceMs = nowMs;
    const session = new Session(this.client, this.#all.services, this.#state);
    this.#state = session;
    this.#all.awoken(this);
    void this.#run(session, true);
  }

  /** Resolves once it is over. */
  ended(): Promise<void> {
    return new Promise((resolve) => {
      const over = this.#over;
      this.#over = () => {
        over();
        resolve();
      };
    });
  }

  /** To its end, or until it sleeps. */
  async #run(session: Session, isGreeted: boolean): Promise<void> {
    if ((await session.run(isGreeted)) === "asleep") return;
    this.#all.over(this);
    this.#over();
  }
}
