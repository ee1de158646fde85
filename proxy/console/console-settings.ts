/**
 * Settings of a console connection. There is nothing they could change but the client's own
 * name: all values are UTF-8, times are UTC in ISO style. What drivers and pools SET by
 * themselves is taken; any other name is an error, as for a server.
 */
import { SqlError } from "../../base/sql-error.ts";

/** A version that drivers know; the console answers as one of its servers does. */
const SERVER_VERSION = "18.0";

const TAKEN = new Set([
  "bytea_output",
  "client_min_messages",
  "datestyle",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "extra_float_digits",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "intervalstyle",
  "lock_timeout",
  "search_path",
  "standard_conforming_strings",
  "statement_timeout",
  "timezone",
  "transaction_isolation",
  "transaction_timeout",
]);

export class ConsoleSettings {
  readonly #reported: Map<string, string>;

  constructor(
    startup: ReadonlyMap<string, string>,
    { user, isAdmin, version }: { user: string; isAdmin: boolean; version: string },
  ) {
    this.#reported = new Map([
      ["server_version", `${SERVER_VERSION} (Colonnade ${version})`],
      ["server_encoding", "UTF8"],
      ["client_encoding", "UTF8"],
      ["application_name", startup.get("application_name") ?? ""],
      ["default_transaction_read_only", "off"],
      ["in_hot_standby", "off"],
      ["is_superuser", isAdmin ? "on" : "off"],
      ["session_authorization", user],
      ["DateStyle", "ISO, MDY"],
      ["IntervalStyle", "postgres"],
      ["TimeZone", "UTC"],
      ["integer_datetimes", "on"],
      ["standard_conforming_strings", "on"],
    ]);
  }

  /** What ParameterStatus tells. */
  get reported(): ReadonlyMap<string, string> {
    return new Map(this.#reported);
  }

  get applicationName(): string {
    return this.#reported.get("application_name") ?? "";
  }

  /** For SHOW, which takes names in any case; undefined for one that is not known. */
  get(name: string): string | undefined {
    if (name === "transaction isolation level" || name === "transaction_isolation")
      return "read committed";
    if (name === "time zone") return this.get("timezone");
    for (const [reported, value] of this.#reported)
      if (reported.toLowerCase() === name) return value;
    return undefined;
  }

  set(name: string, value: string, position: number): void {
    switch (name) {
      case "application_name":
        this.#reported.set(name, value);
        return;
      case "client_encoding":
        if (/^(utf-?8|unicode)$/i.test(value)) return;
        throw new SqlError(
          "console_not_supported",
          `the admin console speaks UTF8, not "${value}"`,
          { position },
        );
      default:
        if (TAKEN.has(name)) return;
        throw new SqlError(
          "console_object_unknown",
          `unrecognized configuration parameter "${name}"`,
          { position, hint: "The proxy's own settings are in its configuration file." },
        );
    }
  }
}
