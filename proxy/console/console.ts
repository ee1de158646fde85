/**
 * The admin console: its connections, and who may open one. Clients come to it by the
 * database name CONSOLE_DATABASE; how they prove who they are is the frontend's matter.
 */
import { timingSafeEqual } from "node:crypto";
import type { Log } from "../../base/log.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Config } from "../config/config.ts";
import type { Client, SessionHost } from "../session/client.ts";
import { clientReport } from "../session/client-report.ts";
import type { ClientReport } from "../session/client-report.ts";
import { ConsoleAnswers } from "./console-answers.ts";
import type { ConsoleRows } from "./console-answers.ts";
import { SHOWS } from "./console-help.ts";
import { ConsoleSession } from "./console-session.ts";
import { ConsoleSettings } from "./console-settings.ts";
import type { ConsoleSources } from "./console-sources.ts";
import { Operations } from "./operations.ts";
import type { OperatedParts } from "./operations.ts";
import type { OtherWorkers, SharedCommand } from "./other-workers.ts";

/** As PgBouncer's is `pgbouncer`. */
export const CONSOLE_DATABASE = "colonnade";

interface Entry {
  readonly client: Client;
  readonly settings: ConsoleSettings;
  readonly session: ConsoleSession;
}

export interface ConsoleOptions {
  readonly users: Config["console"];
  readonly sources: ConsoleSources;
  readonly operated: OperatedParts;
  readonly others: OtherWorkers;
  readonly log: Log;
}

export class Console implements SessionHost, OtherWorkers {
  readonly #options: ConsoleOptions;
  readonly #sources: ConsoleSources;
  readonly #operations: Operations;
  readonly #entries = new Map<number, Entry>();

  constructor(options: ConsoleOptions) {
    this.#options = options;
    const { sources, operated } = options;
    this.#sources = { ...sources, clients: () => [...sources.clients(), ...this.#list()] };
    this.#operations = new Operations({
      ...operated,
      sessions: {
        using: (database) => operated.sessions.using(database),
        kill: async (id, error) =>
          this.#kill(id, error) || (await operated.sessions.kill(id, error)),
      },
    });
  }

  /** Throws for a user that the configuration does not name. */
  admit(user: string): void {
    const { admin_users: admins, stats_users: readers } = this.#options.users;
    if (admins.includes(user) || readers.includes(user)) return;
    throw new SqlError(
      "console_user_refused",
      `user "${user}" may not use the admin console (database "${CONSOLE_DATABASE}")`,
    );
  }

  serve(client: Client, over: () => void): void {
    void this.#serve(client).finally(over);
  }

  async #serve(client: Client): Promise<void> {
    const { users, others, log } = this.#options;
    const isAdmin = users.admin_users.includes(client.user);
    const { version } = this.#sources.process;
    const settings = new ConsoleSettings(client.settings, { user: client.user, isAdmin, version });
    const [sources, operations] = [this.#sources, this.#operations];
    const parts = { client, isAdmin, settings, sources, operations, others, log };
    const answers = new ConsoleAnswers(parts);
    const session = new ConsoleSession({ client, settings, answers, log });
    this.#entries.set(client.processId, { client, settings, session });
    try {
      await session.run();
    } finally {
      this.#entries.delete(client.processId);
    }
  }

  cancel(processId: number, secretKey: Buffer): void {
    const found = this.#entries.get(processId);
    if (found === undefined || found.client.secretKey.length !== secretKey.length) return;
    if (timingSafeEqual(found.client.secretKey, secretKey)) found.session.cancel();
  }

  /** What this process alone tells, for the console of another worker. */
  async show(name: string): Promise<ConsoleRows> {
    return (await SHOWS.find((each) => each.name === name)?.rows(this.#sources)) ?? [];
  }

  /** Done by this process alone, as the console of another worker has been told. */
  async command(command: SharedCommand): Promise<void> {
    await this.#operations.here(command, new AbortController().signal);
  }

  kill(id: number): Promise<boolean> {
    return this.#operations.kill(id);
  }

  /** The proxy stops. */
  end(): void {
    for (const { session } of this.#entries.values())
      session.leave(
        new SqlError("proxy_shutdown", "terminating connection due to administrator command"),
      );
  }

  #kill(id: number, error: SqlError): boolean {
    const found = this.#entries.get(id);
    found?.session.leave(error);
    return found !== undefined;
  }

  #list(): readonly ClientReport[] {
    return [...this.#entries.values()].map(({ client, session, settings }) =>
      clientReport(client, {
        application_name: settings.applicationName,
        state: session.state,
        waits_for: null,
        wait_ms: 0,
        pinned: [],
        servers: [],
        cancelling: [],
        statements: session.statementCount,
        prepared_statements: session.preparedCount,
      }),
    );
  }
}
