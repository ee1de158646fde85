/** What each statement of the console is answered with: its columns, and then, run, its rows or its tag. */
import { unreachable } from "../../base/invariant.ts";
import type { Log } from "../../base/log.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { Client } from "../session/client.ts";
import { SHOWS } from "./console-help.ts";
import type { ConsoleSettings } from "./console-settings.ts";
import type { ConsoleSources } from "./console-sources.ts";
import type { ConsoleStatement, SelectItem } from "./console-statement.ts";
import type { ConsoleType, ConsoleValue, ResultColumn } from "./console-value.ts";
import type { Operations } from "./operations.ts";
import type { OtherWorkers } from "./other-workers.ts";

export type ConsoleRows = readonly (readonly ConsoleValue[])[];

export interface Answer {
  /** None of a command. */
  readonly rows: ConsoleRows;
  readonly tag: string;
}

export interface AnsweringParts {
  readonly client: Client;
  readonly isAdmin: boolean;
  readonly settings: ConsoleSettings;
  readonly sources: ConsoleSources;
  readonly operations: Operations;
  readonly others: OtherWorkers;
  readonly log: Log;
}

type Operation = Extract<
  ConsoleStatement,
  { kind: "reload" | "drain" | "pause" | "resume" | "killClient" | "killDatabase" }
>;

export class ConsoleAnswers {
  readonly #parts: AnsweringParts;

  constructor(parts: AnsweringParts) {
    this.#parts = parts;
  }

  /** Undefined for what has no rows. Throws for a SHOW that there is not, or that this user may not see. */
  columns(statement: ConsoleStatement): readonly ResultColumn[] | undefined {
    if (statement.kind === "select") {
      return statement.items.map(({ column: name, value }) => ({ name, type: typeOf(value) }));
    }
    if (statement.kind !== "show") return undefined;
    const show = SHOWS.find(({ name }) => name === statement.name);
    if (show !== undefined) {
      if (show.isForAdmins) this.#requireAdmin(`SHOW ${show.name.toUpperCase()}`);
      return show.columns;
    }
    const { name, position } = statement;
    if (this.#parts.settings.get(name) !== undefined) return [{ name, type: "text" }];
    const message = `there is no SHOW ${name.toUpperCase()}`;
    throw new SqlError("console_command_unknown", message, { position });
  }

  async answer(statement: ConsoleStatement, signal: AbortSignal): Promise<Answer> {
    switch (statement.kind) {
      case "show":
        return { rows: await this.#show(statement.name), tag: "SHOW" };
      case "select": {
        const row = statement.items.map(({ value }) => this.#valueOf(value));
        return { rows: [row], tag: "SELECT 1" };
      }
      case "set":
        this.#parts.settings.set(statement.name, statement.value, statement.position);
        return { rows: [], tag: "SET" };
      case "clean":
        return { rows: [], tag: statement.tag };
      case "reload":
      case "drain":
      case "pause":
      case "resume":
      case "killClient":
      case "killDatabase":
        return { rows: [], tag: await this.#operate(statement, signal) };
      case "empty":
      case "begin":
      case "commit":
      case "rollback":
        return { rows: [], tag: "" };
      default:
        return unreachable(statement);
    }
  }

  async #show(name: string): Promise<ConsoleRows> {
    const show = SHOWS.find((each) => each.name === name);
    if (show === undefined) return [[this.#parts.settings.get(name) ?? null]];
    const { sources, others } = this.#parts;
    if (!show.isOfEachWorker) return await show.rows(sources);
    return (await Promise.all([show.rows(sources), others.show(name)])).flat();
  }

  #valueOf(value: SelectItem["value"]): ConsoleValue {
    if (value.kind !== "fact") return value.value;
    const { client, sources, settings } = this.#parts;
    switch (value.name) {
      case "version":
        return `PostgreSQL ${settings.get("server_version")}, admin console of proxy ${sources.process.id}`;
      case "current_database":
        return client.database;
      case "current_schema":
        return "colonnade";
      case "current_user":
      case "session_user":
        return client.user;
      case "pg_backend_pid":
        return client.processId;
      default:
        return unreachable(value.name);
    }
  }

  async #operate(statement: Operation, signal: AbortSignal): Promise<string> {
    const { operations, others, client, log } = this.#parts;
    const [command, ...rest] = wordsOf(statement);
    this.#requireAdmin(command);
    const by = { user: client.user, address: client.address };
    log.info({ ...by, command: [command, ...rest].join(" ") }, "admin console");
    switch (statement.kind) {
      case "reload":
        await operations.reload();
        break;
      case "drain":
        operations.drain();
        break;
      case "pause":
      case "resume":
      case "killClient":
      case "killDatabase":
        await operations.everywhere(statement, others, signal);
        break;
      default:
        unreachable(statement);
    }
    return command;
  }

  #requireAdmin(command: string): void {
    if (this.#parts.isAdmin) return;
    throw new SqlError("console_admin_required", `permission denied for ${command}`);
  }
}

function typeOf({ kind, ...rest }: SelectItem["value"]): ConsoleType {
  const isInteger = kind === "integer" || ("name" in rest && rest.name === "pg_backend_pid");
  return isInteger ? "integer" : "text";
}

/** The command's tag, and what it was for. */
function wordsOf(statement: Operation): readonly [string, ...string[]] {
  switch (statement.kind) {
    case "reload":
      return ["RELOAD"];
    case "drain":
      return ["DRAIN"];
    case "pause":
      return ["PAUSE", ...optional(statement.database)];
    case "resume":
      return ["RESUME", ...optional(statement.database)];
    case "killClient":
      return ["KILL", String(statement.id)];
    case "killDatabase":
      return ["KILL", statement.database];
    default:
      return unreachable(statement);
  }
}

function optional(name: string | undefined): readonly string[] {
  return name === undefined ? [] : [name];
}
