/**
 * The settings a session has made, as a script that brings any backend to them. Data only:
 * proxy/session decides what enters it.
 */

export interface SettingsScript {
  /** Equal tags mean equal settings; a backend that carries the tag needs no statement. */
  readonly tag: string;
  /** Statements, separated by semicolons, that set them from a backend's own defaults; empty for none. */
  readonly sql: string;
  /** The session is another role than the connection's user, or may be. */
  readonly isOtherRole: boolean;
  /** Custom settings that the session has ever named: see custom-settings.ts. */
  readonly customNames: ReadonlySet<string>;
}

export const NO_SETTINGS: SettingsScript = {
  tag: "",
  sql: "",
  isOtherRole: false,
  customNames: new Set(),
};
