/**
 * Where a backend listens and how to enter it: a connection URL as libpq reads one, taken
 * apart once. It opens nothing and reads no file, environment or password file: what the
 * URL does not say is not guessed, so that a proxy behaves alike on every machine.
 *
 * Source: PostgreSQL's manual 32.1.1.2 (connection URIs) and 32.1.2 (parameter key words);
 * conninfo_uri_parse in fe-connect.c.
 */
import { SqlError } from "../../base/sql-error.ts";

/** In libpq's order: each asks for more than the one before it. */
const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;

type SslMode = (typeof SSL_MODES)[number];

export interface BackendAddress {
  readonly server:
    | { readonly kind: "tcp"; readonly host: string; readonly port: number }
    /** `directory` holds `.s.PGSQL.<port>`, as in libpq. */
    | { readonly kind: "unix"; readonly directory: string; readonly port: number };
  readonly user: string;
  readonly password: string | undefined;
  /** The database in the server, which need not be its name in the shard map. */
  readonly database: string;
  readonly sslMode: SslMode;
  /** A PEM file of root certificates, or `system` for the ones of the platform. */
  readonly sslRootCertificate: string | undefined;
  /** PEM files of this client's own certificate and key, given both or not at all. */
  readonly sslCertificate: string | undefined;
  readonly sslKey: string | undefined;
  readonly channelBinding: "disable" | "prefer" | "require";
  readonly applicationName: string | undefined;
}

const DEFAULT_PORT = 5432;
const DEFAULT_APPLICATION_NAME = "colonnade";

/** Each key word of libpq that is understood; another is an error, not ignored. */
const PARAMETERS = new Set([
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "channel_binding",
  "application_name",
]);

/**
 * Reads `postgres://user:password@host:port/database?sslmode=...`. A bad one throws
 * `backend_url_invalid`; the message never repeats the password, even of a URL so broken
 * that one cannot tell where it stands.
 */
export function parseBackendAddress(url: string): BackendAddress {
  const given = readUrl(url);
  const user = given.get("user");
  if (user === undefined) throw invalid("it names no user", "Write postgres://user@host/database.");
  const host = given.get("host");
  if (host === undefined) {
    throw invalid(
      "it names no host",
      "Write postgres://user@host/database, or add ?host=/directory for a unix socket.",
    );
  }
  const server = readServer(host, given.get("port"));
  const sslMode = readChoice("sslmode", given.get("sslmode"), SSL_MODES, "prefer");
  const address: BackendAddress = {
    server,
    user,
    password: given.get("password"),
    database: given.get("dbname") ?? user,
    sslMode,
    sslRootCertificate: given.get("sslrootcert"),
    sslCertificate: given.get("sslcert"),
    sslKey: given.get("sslkey"),
    channelBinding: readChoice(
      "channel_binding",
      given.get("channel_binding"),
      ["disable", "prefer", "require"] as const,
      "prefer",
    ),
    applicationName: given.get("application_name") ?? DEFAULT_APPLICATION_NAME,
  };
  checkCertificates(address);
  return address;
}

/** `user@host:port/database` for logs and errors; never the password. */
export function describeAddress(address: BackendAddress): string {
  const { server } = address;
  const place =
    server.kind === "unix"
      ? socketPath(server)
      : `${server.host.includes(":") ? `[${server.host}]` : server.host}:${server.port}`;
  return `${address.user}@${place}/${address.database}`;
}

/** The file a server listens on in a unix socket's directory. */
export function socketPath(server: { readonly directory: string; readonly port: number }): string {
  return `${server.directory.replace(/\/+$/, "")}/.s.PGSQL.${server.port}`;
}

/** The URL's parts by libpq's key words, percent-decoded. Empty parts are absent, as in libpq. */
function readUrl(url: string): ReadonlyMap<string, string> {
  if (hasStrayAt(url)) {
    throw invalid(
      "it has an @ behind its host",
      "Special characters of a user or password must be percent-encoded: %2F for /, %3F for ?, %23 for #.",
    );
  }
  const match = /^postgres(?:ql)?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url);
  if (match === null) {
    throw invalid("it is not of the form postgres://user@host:port/database", REMEDY);
  }
  const [, authority = "", path = "", query = ""] = match;
  const given = new Map<string, string>();
  const put = (key: string, encoded: string | undefined): void => {
    if (encoded !== undefined && encoded !== "") given.set(key, decode(encoded));
  };
  const at = authority.lastIndexOf("@");
  if (at >= 0) {
    const credentials = authority.slice(0, at);
    const colon = credentials.indexOf(":");
    put("user", colon < 0 ? credentials : credentials.slice(0, colon));
    put("password", colon < 0 ? undefined : credentials.slice(colon + 1));
  }
  const place = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(authority.slice(at + 1));
  if (place === null) {
    throw invalid("its host is not a name, an address, or an IPv6 address in brackets", REMEDY);
  }
  put("host", place[1] ?? place[2]);
  put("port", place[3]);
  put("dbname", path);
  for (const parameter of query === "" ? [] : query.split("&")) {
    const equals = parameter.indexOf("=");
    const key = decode(equals < 0 ? parameter : parameter.slice(0, equals));
    if (equals < 0) throw invalid(`parameter "${key}" has no value`, REMEDY);
    if (!PARAMETERS.has(key)) {
      throw invalid(
        `parameter "${key}" is not known`,
        `Known parameters are ${[...PARAMETERS].join(", ")}.`,
      );
    }
    put(key, parameter.slice(equals + 1));
  }
  return given;
}

/** The sign of a password with an unencoded `/`, `?` or `#`: read on, parts of it would be printed. */
function hasStrayAt(url: string): boolean {
  const end = url.indexOf("://") + 3;
  const authority = /^[^/?#]*/.exec(url.slice(end))?.[0] ?? "";
  return !authority.includes("@") && url.slice(end).includes("@");
}

const REMEDY =
  "Write postgres://user:password@host:port/database?sslmode=verify-full, with special characters percent-encoded.";

function decode(encoded: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(encoded);
  } catch {
    throw invalid(
      "it has a percent sign that starts no encoded UTF-8 character",
      "Write %25 for a percent sign.",
    );
  }
  if (decoded.includes("\0")) throw invalid("it has a zero byte", REMEDY);
  return decoded;
}

function readServer(host: string, portText: string | undefined): BackendAddress["server"] {
  const port = portText === undefined ? DEFAULT_PORT : Number(portText);
  if (!/^\d+$/.test(portText ?? "0") || port < 1 || port > 65_535) {
    throw invalid("its port is not a number from 1 to 65535", REMEDY);
  }
  if (host.includes(",")) {
    throw invalid(
      "it names several hosts",
      "Name the primary here, and the others as replicas of the database in the shard map.",
    );
  }
  return host.startsWith("/")
    ? { kind: "unix", directory: host, port }
    : { kind: "tcp", host, port };
}

function readChoice<const Choice extends string>(
  parameter: string,
  given: string | undefined,
  choices: readonly Choice[],
  otherwise: Choice,
): Choice {
  if (given === undefined) return otherwise;
  const choice = choices.find((each) => each === given);
  if (choice === undefined) {
    throw invalid(`its ${parameter} is not one of ${choices.join(", ")}`, REMEDY);
  }
  return choice;
}

/**
 * libpq falls back to `~/.postgresql/root.crt`; a service has no home worth relying on, so a
 * verifying mode must name its roots. libpq, too, refuses `system` with a mode that leaves
 * the host's name unchecked, since anyone can get a certificate of a public authority.
 */
function checkCertificates(address: BackendAddress): void {
  const { sslMode, sslRootCertificate } = address;
  const isVerifying = sslMode === "verify-ca" || sslMode === "verify-full";
  if (isVerifying && sslRootCertificate === undefined) {
    throw invalid(
      `sslmode ${sslMode} needs the root certificates to verify against`,
      "Add sslrootcert=/path/root.crt, or sslrootcert=system with sslmode=verify-full.",
    );
  }
  if (sslRootCertificate === "system" && sslMode !== "verify-full") {
    throw invalid("sslrootcert=system needs sslmode=verify-full", "Add sslmode=verify-full.");
  }
  if ((address.sslCertificate === undefined) !== (address.sslKey === undefined)) {
    throw invalid("it gives only one of sslcert and sslkey", "Give both, or neither.");
  }
}

function invalid(problem: string, hint: string): SqlError {
  return new SqlError("backend_url_invalid", `backend URL cannot be read: ${problem}`, { hint });
}
