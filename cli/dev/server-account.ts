/**
 * Under which OS account an embedded PostgreSQL server runs, and which directories that
 * account can reach. PostgreSQL refuses to run as root, so root hands its servers to
 * another account; everybody else runs them as themselves.
 *
 * It starts no process but `id`, and it changes nothing on the machine: no account is
 * ever created and no existing directory's mode is changed.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** undefined: our own account, so that nothing needs to be handed over. */
export type ServerAccount =
  | undefined
  | { readonly user: string; readonly uid: number; readonly gid: number };

/** Where root keeps what its server account could not reach in the place asked for. */
const ROOT_DIRECTORY = "/var/lib/colonnade";

/**
 * `postgres` exists wherever PostgreSQL is packaged; `nobody` exists on every Unix, and
 * initdb asks no more of an account than an entry in the user database.
 */
const ACCOUNTS_IN_ORDER = ["postgres", "nobody"];

/** The account the servers run under. Throws where we are root and there is none to take. */
export function findServerAccount(): ServerAccount {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ACCOUNTS_IN_ORDER) {
    const uid = numericId("-u", user);
    const gid = numericId("-g", user);
    if (uid !== undefined && uid !== 0 && gid !== undefined) return { user, uid, gid };
  }
  throw new Error(
    `PostgreSQL does not run as root, and there is no OS user ${ACCOUNTS_IN_ORDER.join(" or ")} to run it as: create one, or start as an ordinary user`,
  );
}

function numericId(flag: "-u" | "-g", user: string): number | undefined {
  try {
    const printed = execFileSync("id", [flag, user], { stdio: ["ignore", "pipe", "ignore"] });
    const id = Number.parseInt(printed.toString(), 10);
    return Number.isInteger(id) ? id : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The directory to use for `wanted`: itself where the account can reach it, else one
 * under /var/lib/colonnade that is bound to its name, so that the next start finds it.
 * A clone under /root (mode 700) is the usual reason.
 */
export function reachableDirectory(wanted: string, account: ServerAccount): string {
  const path = resolve(wanted);
  if (account === undefined || canEnter(dirname(path), account)) return path;
  const digest = createHash("sha256").update(path).digest("hex").slice(0, 12);
  return join(ROOT_DIRECTORY, `${basename(path).replace(/^\.+/, "")}-${digest}`);
}

/** Whether the account may pass through the directory and everything above it. */
export function canEnter(directory: string, account: ServerAccount): boolean {
  if (account === undefined) return true;
  let path = nearestExisting(directory);
  for (;;) {
    const { uid, gid, mode } = statSync(path);
    const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0;
    if (((mode >> shift) & 1) === 0) return false;
    const parent = dirname(path);
    if (parent === path) return true;
    path = parent;
  }
}

/** Directories still to be made are made with mode 755 or are handed to the account. */
function nearestExisting(directory: string): string {
  let path = resolve(directory);
  for (;;) {
    try {
      return realpathSync(path);
    } catch {
      path = dirname(path);
    }
  }
}
