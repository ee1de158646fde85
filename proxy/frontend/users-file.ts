/**
 * Users from a file in PgBouncer's userlist.txt format: on each line a user and a secret in
 * double quotes (a quote inside is doubled), the secret plain, `md5…` or `SCRAM-SHA-256$…`.
 * What follows the two is ignored; lines that begin with `;` and empty lines are comments.
 *
 * The file is read again when its time of change is another. A file that then is broken is
 * reported, and the users before hold: a typing error must not lock everybody out.
 */
import { readFile, stat } from "node:fs/promises";
import { USERS_FILE_BYTES_MAX, USERS_FILE_CHECK_INTERVAL_MS } from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import { parseStoredSecret } from "./user-store.ts";
import type { StoredSecret, UserStore } from "./user-store.ts";

/** What is wrong in a users file; the message begins with `path:line: `. */
export class UsersFileError extends Error {
  override readonly name = "UsersFileError";
}

export interface UsersFileOptions {
  readonly path: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly log: Log;
}

type Users = ReadonlyMap<string, StoredSecret>;

export class UsersFile implements UserStore {
  readonly #options: UsersFileOptions;
  #users: Users;
  #changedMs: number;
  #checkAgainAt: number;
  #checking: Promise<void> | undefined;

  private constructor(options: UsersFileOptions, users: Users, changedMs: number) {
    this.#options = options;
    this.#users = users;
    this.#changedMs = changedMs;
    this.#checkAgainAt = options.now() + USERS_FILE_CHECK_INTERVAL_MS;
  }

  /** Rejects with UsersFileError, or with what the file system says. */
  static async open(options: UsersFileOptions): Promise<UsersFile> {
    const { mtimeMs } = await stat(options.path);
    return new UsersFile(options, await readUsers(options.path), mtimeMs);
  }

  async lookup(user: string): Promise<StoredSecret | undefined> {
    if (this.#options.now() >= this.#checkAgainAt) {
      this.#checking ??= this.#check().finally(() => {
        this.#checking = undefined;
      });
    }
    await this.#checking;
    return this.#users.get(user);
  }

  async #check(): Promise<void> {
    const { path, now, log } = this.#options;
    this.#checkAgainAt = now() + USERS_FILE_CHECK_INTERVAL_MS;
    try {
      const { mtimeMs } = await stat(path);
      if (mtimeMs === this.#changedMs) return;
      // Noted before reading: a broken file is reported once, not at each login.
      this.#changedMs = mtimeMs;
      this.#users = await readUsers(path);
      log.info({ path, users: this.#users.size }, "users file was read again");
    } catch (error) {
      log.error({ path, err: error }, "users file cannot be read; the users before hold");
    }
  }
}

async function readUsers(path: string): Promise<Users> {
  const { size } = await stat(path);
  if (size > USERS_FILE_BYTES_MAX) {
    throw new UsersFileError(
      `${path}: the file has ${size} bytes, at most ${USERS_FILE_BYTES_MAX} are read`,
    );
  }
  return parseUsersFile(await readFile(path, "utf8"), path);
}

/** `path` is for the errors alone. */
export function parseUsersFile(text: string, path: string): Users {
  const users = new Map<string, StoredSecret>();
  for (const [user, { secret }] of readUserLines(text, path))
    if (secret !== undefined) users.set(user, secret);
  return users;
}

export interface UserLine {
  /** From 1. */
  readonly line: number;
  /** Undefined where the file gives the user an empty one. */
  readonly secret: StoredSecret | undefined;
}

/** The users of a file by name. Throws UsersFileError; `path` is for that alone. */
export function readUserLines(text: string, path: string): ReadonlyMap<string, UserLine> {
  const users = new Map<string, UserLine>();
  let number = 0;
  for (const line of text.split(/\r?\n/)) {
    number++;
    const fail = (reason: string): never => {
      throw new UsersFileError(`${path}:${number}: ${reason}`);
    };
    if (/^\s*(;|$)/.test(line)) continue;
    const match = /^\s*"((?:[^"]|"")*)"\s*"((?:[^"]|"")*)"(?:\s|$)/.exec(line);
    if (match === null) fail('expected "user" "secret", both in double quotes');
    const [user = "", secretText = ""] = (match ?? [])
      .slice(1)
      .map((each) => each.replaceAll('""', '"'));
    if (user === "") fail("the user's name is empty");
    const before = users.get(user);
    if (before !== undefined) fail(`user "${user}" stands already on line ${before.line}`);
    users.set(user, { line: number, secret: parseStoredSecret(secretText) });
  }
  return users;
}
