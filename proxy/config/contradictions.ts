/** What no configuration can mean, though each of its fields may be what it says. */
import { isIP } from "node:net";

interface Contradiction {
  readonly path: readonly string[];
  readonly message: string;
  readonly remedy: string;
}

/** The fields, as far as rules are between them. */
interface ContradictoryFields {
  readonly listen: {
    readonly host: string;
    readonly port: number;
    readonly tls?: { readonly require: boolean } | undefined;
  };
  readonly admin: { readonly host: string; readonly port: number };
  readonly pool: {
    readonly size: number;
    readonly adaptive: { readonly enabled: boolean; readonly min: number };
  };
  readonly fast_path: { readonly relay: boolean };
  readonly multiplexed_reads: { readonly enabled: boolean };
  readonly auth: {
    readonly method: "trust" | "password" | "md5" | "scram-sha-256";
    readonly users_file?: string | undefined;
    readonly query?: string | undefined;
  };
  readonly console: {
    readonly admin_users: readonly string[];
    readonly stats_users: readonly string[];
    readonly users_file?: string | undefined;
  };
}

/** Rules between fields: what would let strangers in, or could never let anybody in. */
export function* contradictions(config: ContradictoryFields): Iterable<Contradiction> {
  const { listen: clients, admin: operator } = config;
  if (clients.port === operator.port && sharesAddress(clients.host, operator.host)) {
    yield {
      path: ["admin", "port"],
      message: `listen.port and admin.port are both ${clients.port}`,
      remedy: "Give one of them another port.",
    };
  }
  const { method, users_file: usersFile, query } = config.auth;
  if (method === "trust" && !isLoopback(config.listen.host)) {
    yield {
      path: ["auth", "method"],
      message: `trust lets everybody in who can reach ${config.listen.host}`,
      remedy: "Use scram-sha-256 with a users_file, or listen on 127.0.0.1.",
    };
  }
  if (method === "password" && config.listen.tls?.require !== true) {
    yield {
      path: ["auth", "method"],
      message: "password sends passwords in clear text",
      remedy: "Set listen.tls with require: true, or use scram-sha-256.",
    };
  }
  if (method !== "trust" && (usersFile === undefined) === (query === undefined)) {
    yield {
      path: ["auth"],
      message: `${method} needs one source of passwords, and ${usersFile === undefined ? "has none" : "has two"}`,
      remedy: "Give either users_file or query.",
    };
  }
  const { size, adaptive } = config.pool;
  if (adaptive.enabled && adaptive.min > size) {
    yield {
      path: ["pool", "adaptive", "min"],
      message: `adaptive.min is ${adaptive.min}, and the pool has ${size} connections at most`,
      remedy: "Make pool.adaptive.min smaller, or pool.size larger.",
    };
  }
  if (config.multiplexed_reads.enabled && !config.fast_path.relay) {
    yield {
      path: ["multiplexed_reads", "enabled"],
      message: "multiplexed reads are of the short way, which fast_path.relay turns off",
      remedy: "Leave fast_path.relay on, or multiplexed_reads.enabled off.",
    };
  }
  yield* consoleContradictions(config.console);
}

function* consoleContradictions(
  operators: ContradictoryFields["console"],
): Iterable<Contradiction> {
  const { admin_users: admins, stats_users: readers, users_file: usersFile } = operators;
  const both = readers.find((user) => admins.includes(user));
  if (both !== undefined) {
    yield {
      path: ["console", "stats_users"],
      message: `user "${both}" is in admin_users as well`,
      remedy:
        "Leave the user in one of the two lists; admin_users may do all that stats_users may.",
    };
  }
  if (usersFile !== undefined && admins.length + readers.length === 0) {
    yield {
      path: ["console", "users_file"],
      message: "there are passwords for the console, and nobody may use it",
      remedy: "Name its users in console.admin_users or console.stats_users.",
    };
  }
}

/** One address holds a port once; every address includes each. */
function sharesAddress(left: string, right: string): boolean {
  const isEvery = (host: string): boolean => host === "0.0.0.0" || host === "::";
  return left === right || isEvery(left) || isEvery(right);
}

function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}
