/**
 * The settings a client has made, as PostgreSQL keeps them for a session: what the startup
 * packet gave is where RESET goes back to, and a transaction that rolls back takes its SETs
 * with it. The values themselves are the server's matter: statements are kept as written.
 */
import { ENVIRONMENT_CACHE_ENTRIES_MAX, SETTINGS_LENGTH_MAX } from "../../base/limits.ts";
import { SqlError } from "../../base/sql-error.ts";
import { ROLE_SETTINGS } from "../../planner/utility-settings.ts";
import { isCustomSetting } from "../execution/custom-settings.ts";
import type { SettingsScript } from "../execution/session-settings.ts";
import { BoundedCache } from "./bounded-cache.ts";
import { quoteIdentifier, quoteLiteral } from "../../base/sql-quoting.ts";

export class SessionSettings {
  readonly #startup: StartUp;
  /** Name to the statement that sets it. */
  #statements: ReadonlyMap<string, string>;
  #script: SettingsScript | undefined;
  /** Grows alone: PostgreSQL does not forget one, whatever becomes of its SET. */
  #customNames: ReadonlySet<string>;

  constructor(startup: ReadonlyMap<string, string>) {
    this.#startup = startUpOf(startup);
    this.#statements = this.#startup.statements;
    this.#script = this.#startup.script;
    this.#customNames = this.#script.customNames;
    this.refuseTooLong([]);
  }

  /** Asked before `more` statements run, so that what has committed is never refused. */
  refuseTooLong(more: readonly string[]): void {
    let length = 0;
    const kept = [...this.#statements.values(), ...this.#customNames, ...more];
    for (const sql of kept) length += sql.length;
    if (length > SETTINGS_LENGTH_MAX) {
      throw new SqlError("settings_too_long", `settings exceed ${SETTINGS_LENGTH_MAX} characters`);
    }
  }

  get script(): SettingsScript {
    this.#script ??= scriptOf(this.#statements, this.#customNames);
    return this.#script;
  }

  /**
   * Before a statement that may make custom settings runs: the backends it runs on are the
   * session's with these. What is given back is called where it has failed, and made none.
   */
  nameCustom(names: readonly (string | undefined)[]): () => void {
    const before = this.#customNames;
    const added = names.filter(isCustomSetting).filter((name) => !before.has(name));
    if (added.length === 0) return () => undefined;
    this.#nameAll(new Set([...before, ...added]));
    return () => this.#nameAll(before);
  }

  #nameAll(names: ReadonlySet<string>): void {
    this.#customNames = names;
    this.#script = undefined;
  }

  /** They are what the startup packet has made them. */
  get areUntouched(): boolean {
    const { statements, script } = this.#startup;
    return this.#statements === statements && this.#customNames === script.customNames;
  }

  get snapshot(): ReadonlyMap<string, string> {
    return this.#statements;
  }

  restore(snapshot: ReadonlyMap<string, string>): void {
    this.#statements = snapshot;
    this.#script = undefined;
  }

  set(name: string, sql: string): void {
    const statements = this.#without(name);
    // Later statements win: some settings are several names for one (TIME ZONE, timezone).
    statements.set(name, sql);
    this.restore(statements);
  }

  reset(name: string): void {
    const statements = this.#without(name);
    for (const each of resetWith(name)) {
      const startup = this.#startup.statements.get(each);
      if (startup !== undefined) statements.set(each, startup);
    }
    this.restore(statements);
  }

  /** Who the session is then does not go back: it takes part in RESET ALL neither in PostgreSQL. */
  resetAll(): void {
    const statements = new Map(this.#startup.othersStatements);
    for (const [name, sql] of this.#statements)
      if (ROLE_SETTINGS.has(name)) statements.set(name, sql);
    this.restore(statements);
  }

  discardAll(): void {
    this.restore(this.#startup.statements);
  }

  /** Another user of the session is in no role, until one is set. */
  #without(name: string): Map<string, string> {
    const statements = new Map(this.#statements);
    statements.delete(name);
    if (name === "session_authorization") statements.delete("role");
    return statements;
  }

  /** What RESET of this session means on a backend: the startup packet's value, or the server's own. */
  resetStatement(name: string, scope: "session" | "local"): string {
    const statements = resetWith(name).flatMap((each) => {
      const value = this.#startup.values.get(each);
      if (value !== undefined) return [setStatement(each, value, scope)];
      return each === name ? [serversOwn(name, scope)] : [];
    });
    return statements.join("; ");
  }

  resetAllStatement(): string {
    return ["RESET ALL", ...this.#startup.othersStatements.values()].join("; ");
  }
}

function serversOwn(name: string, scope: "session" | "local"): string {
  const setting = settingName(name);
  return scope === "local" ? `SET LOCAL ${setting} TO DEFAULT` : `RESET ${setting}`;
}

/** What goes back to the start with a setting, in order. */
function resetWith(name: string): readonly string[] {
  return name === "session_authorization" ? [name, "role"] : [name];
}

/** What a startup packet means, shared by all clients that sent alike ones: most applications send one. */
interface StartUp {
  readonly values: ReadonlyMap<string, string>;
  readonly statements: ReadonlyMap<string, string>;
  /** But for those that say who the session is. */
  readonly othersStatements: ReadonlyMap<string, string>;
  readonly script: SettingsScript;
}

const startUps = new BoundedCache<string, StartUp>(ENVIRONMENT_CACHE_ENTRIES_MAX);

function startUpOf(startup: ReadonlyMap<string, string>): StartUp {
  const key = JSON.stringify([...startup]);
  const known = startUps.get(key);
  if (known !== undefined) return known;
  // The proxy's own name stands on its connections; a client that gives none has none.
  const values = new Map(
    [["application_name", ""] as const, ...startup].map(([name, value]) => [
      name.toLowerCase(),
      value,
    ]),
  );
  const statements = new Map(
    [...values].map(([name, value]) => [name, setStatement(name, value, "session")] as const),
  );
  const others = new Map([...statements].filter(([name]) => !ROLE_SETTINGS.has(name)));
  const script = scriptOf(statements, new Set([...values.keys()].filter(isCustomSetting)));
  const startUp = { values, statements, othersStatements: others, script };
  if (key.length <= SETTINGS_LENGTH_MAX) startUps.set(key, startUp);
  return startUp;
}

function setStatement(name: string, value: string, scope: "session" | "local"): string {
  const isLocal = String(scope === "local");
  return `SELECT pg_catalog.set_config(${quoteLiteral(name)}, ${quoteLiteral(value)}, ${isLocal})`;
}

/** Settings of extensions have two parts, each a name. */
function settingName(name: string): string {
  return name.split(".").map(quoteIdentifier).join(".");
}

/** A custom setting that has been named and has no value of the session's is there, on each backend. */
function scriptOf(
  statements: ReadonlyMap<string, string>,
  customNames: ReadonlySet<string>,
): SettingsScript {
  const named = [...customNames].filter((name) => !statements.has(name));
  const resets = named.map((name) => serversOwn(name, "session"));
  const sql = [...statements.values(), ...resets].join("; ");
  return { tag: sql, sql, isOtherRole: isOtherRole(statements.keys()), customNames };
}

/** `names`: of settings made; one may say that the session is its own user again. */
export function isOtherRole(names: Iterable<string | undefined>): boolean {
  for (const name of names) if (name !== undefined && ROLE_SETTINGS.has(name)) return true;
  return false;
}
