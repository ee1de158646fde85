/**
 * What a session's statements are: their parameters and columns, as PostgreSQL describes them
 * over the catalog database. Kept for all sessions, but for what only an open transaction sees.
 */
import type { BackendConnection } from "../backend/backend-connection.ts";
import { describe } from "../execution/describe.ts";
import type { DescribedThing, Description } from "../execution/describe.ts";
import type { DescriptionKey } from "./description-cache.ts";
import type { SessionServices } from "./session-services.ts";
import type { SessionSettings } from "./settings.ts";

export interface DescribingSession {
  readonly services: Pick<SessionServices, "descriptions" | "topology">;
  readonly settings: SessionSettings;
  /** The open transaction has changed tables or settings, which nobody else sees yet. */
  readonly seesOwnCatalog: () => boolean;
  readonly withCatalog: <T>(
    signal: AbortSignal,
    use: (connection: BackendConnection) => Promise<T>,
  ) => Promise<T>;
}

export class StatementDescriptions {
  readonly #session: DescribingSession;

  constructor(session: DescribingSession) {
    this.#session = session;
  }

  /** What `statement` would give, where it costs nothing. */
  known(sql: string, declaredTypes: readonly number[]): Description | undefined {
    const { services, seesOwnCatalog } = this.#session;
    if (seesOwnCatalog()) return undefined;
    return services.descriptions.get(this.#key("statement", sql, declaredTypes));
  }

  statement(
    sql: string,
    declaredTypes: readonly number[],
    signal: AbortSignal,
  ): Promise<Description> {
    return this.#describe("statement", sql, declaredTypes, signal);
  }

  /** The columns that the simple protocol shows of a statement. */
  async plannedColumns(sql: string, signal: AbortSignal): Promise<Description["columns"]> {
    return (await this.#describe("portal", sql, [], signal)).columns;
  }

  async #describe(
    of: DescribedThing,
    sql: string,
    declaredTypes: readonly number[],
    signal: AbortSignal,
  ): Promise<Description> {
    const { services, seesOwnCatalog, withCatalog } = this.#session;
    const { descriptions } = services;
    const key = this.#key(of, sql, declaredTypes);
    const before = seesOwnCatalog() ? undefined : descriptions.get(key);
    if (before !== undefined) return before;
    const description = await withCatalog(signal, (connection) =>
      describe(connection, sql, declaredTypes, { of }),
    );
    if (!seesOwnCatalog()) descriptions.set(key, description);
    return description;
  }

  #key(of: DescribedThing, sql: string, declaredTypes: readonly number[]): DescriptionKey {
    const { services, settings } = this.#session;
    const { epoch: catalogEpoch } = services.topology().catalog;
    return { of, sql, declaredTypes, settingsTag: settings.script.tag, catalogEpoch };
  }
}
