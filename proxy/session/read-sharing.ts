/**
 * Whose reads share connections, as the configuration says and the shard map allows; and what of a
 * statement on the direct path makes it such a read. How they are made is shared-reads.ts' own.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SHARED_READ_REQUEST_BYTES_MAX } from "../../base/limits.ts";
import type { SessionBackends } from "../execution/session-backends.ts";
import type { ReadOwner, SharedRead } from "../execution/shared-reads/shared-read.ts";
import { SharedReads } from "../execution/shared-reads/shared-reads.ts";
import type { SharedReadsOptions } from "../execution/shared-reads/shared-reads.ts";
import type { DirectRequest } from "./direct-request.ts";
import type { DirectPlan } from "./direct-route.ts";

/** As the configuration has it: see docs/config.md. */
export interface SharingRules {
  readonly enabled: boolean;
  readonly connections: number;
  readonly databases: Readonly<Record<string, boolean>>;
  readonly users: Readonly<Record<string, boolean>>;
}

/** `coalesced`: reads of those tables alone whose reads the map lets be coalesced. */
type Scope = "all" | "coalesced" | "none";

export class ReadSharing {
  readonly #rules: SharingRules;
  /** No database and no user has a rule of its own. */
  readonly #isOneRule: boolean;
  readonly #reads: SharedReads;

  constructor(rules: SharingRules, options: Omit<SharedReadsOptions, "connectionsMax">) {
    this.#rules = rules;
    this.#isOneRule = Object.keys({ ...rules.databases, ...rules.users }).length === 0;
    this.#reads = new SharedReads({ ...options, connectionsMax: rules.connections });
  }

  /** Undefined where the read is to be made on a connection of its own. */
  take(
    user: string,
    plan: DirectPlan,
    request: DirectRequest,
    backends: Pick<SessionBackends, "settingsToShare">,
    owner: ReadOwner,
  ): SharedRead | undefined {
    const sharing = plan.kind === "query" ? plan.sharing : undefined;
    if (sharing === undefined) return undefined;
    const { database } = request.target;
    const scope = this.#scope(database, user);
    if (scope === "none" || (scope === "coalesced" && !sharing.coalesces)) return undefined;
    if (bytesOf(request) > SHARED_READ_REQUEST_BYTES_MAX) return undefined;
    const settings = backends.settingsToShare(database);
    if (settings === undefined) return undefined;
    const isKept = request.bound !== undefined && request.isKept;
    return this.#reads.take(
      {
        database,
        settings,
        sharing,
        prepared: isKept ? request.target.prepared : undefined,
        likeness: sharing.coalesces ? likenessOf(request) : undefined,
      },
      owner,
    );
  }

  /** Who says no has the last word. */
  #scope(database: DatabaseName, user: string): Scope {
    const { enabled, databases, users } = this.#rules;
    if (this.#isOneRule) return enabled ? "all" : "coalesced";
    const said = new Set([own(databases, database), own(users, user)]);
    if (said.has(false)) return "none";
    return enabled || said.has(true) ? "all" : "coalesced";
  }
}

/** Names are clients' texts: `constructor` is one. */
function own(rules: Readonly<Record<string, boolean>>, name: string): boolean | undefined {
  return Object.hasOwn(rules, name) ? rules[name] : undefined;
}

function bytesOf({ target, bound }: DirectRequest): number {
  return (target.query ?? target.rendered.sql).length + (bound?.length ?? 0);
}

/** All that a server is told of it: the text, how it is asked, and the Bind with values and formats. */
function likenessOf({ target, bound, isKept, isDescribed }: DirectRequest): string {
  const { key } = target.prepared;
  if (bound === undefined) return `simple\0${key}`;
  return `${isKept}\0${isDescribed}\0${bound.toString("latin1")}\0${key}`;
}
