/**
 * The files that a configuration names: their paths made whole, and each read once before
 * anything starts, so that a wrong one is told by its field and not by a failure later.
 * The proxy reads them again by itself.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { FieldPath, ProblemList } from "../base/document/problems.ts";
import type { Config } from "../proxy/config/config.ts";
import { readUserLines, UsersFileError } from "../proxy/frontend/users-file.ts";
import type { UserLine } from "../proxy/frontend/users-file.ts";
import { reasonOf } from "./failure.ts";

type Tls = NonNullable<Config["listen"]["tls"]>;

const CERT: FieldPath = ["listen", "tls", "cert"];
const KEY: FieldPath = ["listen", "tls", "key"];

/** Relative paths start at `directory`, that of the configuration, wherever the command was called. */
export function withWholePaths(config: Config, directory: string): Config {
  const { listen, auth, console: operators } = config;
  const { tls } = listen;
  return {
    ...config,
    listen: {
      ...listen,
      ...(tls && {
        tls: { ...tls, cert: resolve(directory, tls.cert), key: resolve(directory, tls.key) },
      }),
    },
    auth: {
      ...auth,
      ...(auth.users_file !== undefined && { users_file: resolve(directory, auth.users_file) }),
    },
    console: {
      ...operators,
      ...(operators.users_file !== undefined && {
        users_file: resolve(directory, operators.users_file),
      }),
    },
  };
}

/** `config` has whole paths. A file that this configuration has no use for is not read. */
export function reportConfigFiles(config: Config, problems: ProblemList): void {
  const { listen, auth, console: operators } = config;
  if (listen.tls !== undefined) reportTls(listen.tls, problems);
  if (operators.users_file !== undefined) {
    reportConsoleUsers(operators, operators.users_file, problems);
  }
  if (auth.method !== "trust" && auth.users_file !== undefined) {
    readNamed(["auth", "users_file"], auth.users_file, problems);
  }
}

const CONSOLE_USERS: FieldPath = ["console", "users_file"];

/** Each user of the console must be able to prove, by SCRAM-SHA-256, who it is: an operator who cannot come in finds out too late. */
function reportConsoleUsers(
  { admin_users: admins, stats_users: readers }: Config["console"],
  path: string,
  problems: ProblemList,
): void {
  const text = readNamed(CONSOLE_USERS, path, problems);
  if (text === undefined) return;
  let lines: ReadonlyMap<string, UserLine>;
  try {
    lines = readUserLines(text, path);
  } catch (error) {
    if (!(error instanceof UsersFileError)) throw error;
    problems.report(
      CONSOLE_USERS,
      error.message,
      "Correct the line, or begin it with ; to leave it out.",
    );
    return;
  }
  for (const user of [...admins, ...readers]) {
    const found = lines.get(user);
    if (found === undefined)
      problems.report(
        CONSOLE_USERS,
        `user "${user}" may use the console, and has no line in ${path}`,
        `Add the line "${user}" "password" to it, or leave the user out of the console's users.`,
      );
    else if (found.secret === undefined)
      problems.report(
        CONSOLE_USERS,
        `${path}:${found.line}: user "${user}" has an empty password, with which nobody is let in`,
        "Give the user a password, plain or as SCRAM-SHA-256$….",
      );
    else if (found.secret.kind === "md5")
      problems.report(
        CONSOLE_USERS,
        `${path}:${found.line}: user "${user}" has an md5 password, and the console asks for SCRAM-SHA-256, which md5 cannot prove`,
        "Give the plain password, or SCRAM-SHA-256$… as pg_authid.rolpassword has it once the password was set again under password_encryption = 'scram-sha-256'.",
      );
  }
}

function reportTls(tls: Tls, problems: ProblemList): void {
  const certText = readNamed(CERT, tls.cert, problems);
  const keyText = readNamed(KEY, tls.key, problems);
  const certificate = certText && readCertificate(certText, tls.cert, problems);
  const key = keyText && readKey(keyText, tls.key, problems);
  if (!certificate || !key || certificate.checkPrivateKey(key)) return;
  problems.report(
    KEY,
    `${tls.key} is not the key of the certificate in ${tls.cert}`,
    "Name the key that the certificate was made for; the server's own certificate comes first in its file.",
  );
}

function readNamed(field: FieldPath, path: string, problems: ProblemList): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    problems.report(
      field,
      `cannot read ${path}: ${reasonOf(cause)}`,
      "A relative path starts at the configuration's own directory.",
    );
    return undefined;
  }
}

function readCertificate(
  text: string,
  path: string,
  problems: ProblemList,
): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    const isKey = text.includes("PRIVATE KEY-----");
    problems.report(
      CERT,
      isKey ? `${path} holds a private key` : `${path} holds no certificate in PEM format`,
      isKey ? "Exchange cert and key." : "Its first line is -----BEGIN CERTIFICATE-----.",
    );
    return undefined;
  }
}

function readKey(
  text: string,
  path: string,
  problems: ProblemList,
): ReturnType<typeof createPrivateKey> | undefined {
  try {
    return createPrivateKey(text);
  } catch {
    const isCertificate = text.includes("-----BEGIN CERTIFICATE-----");
    problems.report(
      KEY,
      isCertificate
        ? `${path} holds a certificate`
        : `${path} holds no private key in PEM format that opens without a passphrase`,
      isCertificate ? "Exchange cert and key." : "Its first line is -----BEGIN PRIVATE KEY-----.",
    );
    return undefined;
  }
}
