/** How clients, and the console's, prove who they are, from what the configuration says of it. Part of main.ts. */
import { readFile } from "node:fs/promises";
import type { Log } from "../base/log.ts";
import type { Backends } from "./backend/backends.ts";
import type { Config } from "./config/config.ts";
import type { AuthenticationPolicy } from "./frontend/authentication.ts";
import { QueryUserStore } from "./frontend/query-user-store.ts";
import type { FrontendTlsOptions } from "./frontend/tls.ts";
import { UsersFile } from "./frontend/users-file.ts";
import type { LiveTopology } from "./topology/live-topology.ts";
import { secretQuery } from "./topology/secret-query.ts";

export async function tlsOptions({
  listen: { tls },
}: Config): Promise<FrontendTlsOptions | undefined> {
  if (tls === undefined) return undefined;
  const [cert, key] = await Promise.all([readFile(tls.cert, "utf8"), readFile(tls.key, "utf8")]);
  return { cert, key, isRequired: tls.require };
}

export interface SecretSource {
  readonly backends: Backends;
  readonly topology: LiveTopology;
}

/** Passwords of its own do not need the catalog database, which may be what an operator looks after. */
export async function consolePolicy(
  config: Config,
  clients: AuthenticationPolicy,
  log: Log,
): Promise<AuthenticationPolicy> {
  const { users_file: path } = config.console;
  if (path === undefined) return clients;
  const now = () => performance.now();
  return { method: "scram-sha-256", users: await UsersFile.open({ path, now, log }) };
}

export async function authenticationPolicy(
  { auth }: Config,
  backends: Backends,
  topology: LiveTopology,
  log: Log,
): Promise<AuthenticationPolicy> {
  const { method, users_file: path, query } = auth;
  const now = () => performance.now();
  if (method === "trust") return { method };
  if (query !== undefined) {
    const ask = secretQuery(query, backends, topology);
    return { method, users: new QueryUserStore({ query: ask, now }) };
  }
  return { method, users: await UsersFile.open({ path: path ?? "", now, log }) };
}
