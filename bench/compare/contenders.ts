/** Who is compared, by name. Another contender is another entry here. */
import type { TestPostgres } from "../../test/support/postgres.ts";
import { shardedMap, singleMap, startColonnade } from "./contenders/colonnade.ts";
import type { Contender } from "./contenders/contender.ts";
import {
  startDirect,
  startHaproxy,
  startNodeRelay,
  startPgBouncer,
  startPgpool,
} from "./contenders/poolers.ts";
import { startForeignPartitions, startPlProxy } from "./contenders/sharded.ts";

export interface StartOptions {
  /** Colonnade's inspector can be opened. */
  readonly isProfiled: boolean;
  /** Another PgBouncer than the machine's own. */
  readonly pgbouncer: string | undefined;
}

/** Undefined where its program is not installed. */
type Start = (server: TestPostgres, options: StartOptions) => Promise<Contender | undefined>;

/** What a case's tables are on: one server's database `app`, or four databases of it. */
export type World = "single" | "sharded";

export type StartIn = Readonly<Partial<Record<World, Start>>>;

/** Reads of many clients over few server connections, which it does not do unless told to. */
export const MULTIPLEXED = "colonnade-multiplexed";

export const CONTENDERS: Readonly<Record<string, StartIn>> = {
  direct: { single: startDirect },
  haproxy: { single: startHaproxy },
  "node-relay": { single: startNodeRelay },
  pgbouncer: { single: (server, { pgbouncer }) => startPgBouncer(server, pgbouncer) },
  pgpool: { single: startPgpool },
  postgres_fdw: { sharded: startForeignPartitions },
  plproxy: { sharded: startPlProxy },
  colonnade: {
    single: (server, { isProfiled }) =>
      startColonnade({ name: "colonnade", map: singleMap(server), isProfiled }),
    sharded: (server, { isProfiled }) =>
      startColonnade({ name: "colonnade", map: shardedMap(server), isProfiled }),
  },
  [MULTIPLEXED]: {
    single: (server, { isProfiled }) =>
      startColonnade({
        name: MULTIPLEXED,
        map: singleMap(server),
        isProfiled,
        config: { multiplexed_reads: { enabled: true } },
      }),
  },
};
