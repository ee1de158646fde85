/**
 * Many clients that share few backends, each with settings, a role, temporary tables, locks,
 * statements, cursors and channels of its own, for some time: what any of them reads of another is
 * a leak, and so is what they leave behind.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startServers } from "../../session/servers.ts";
import type { Servers } from "../../session/servers.ts";
import { seeded } from "../../shardmap/random-keys.ts";
import { STEPS } from "./steps.ts";
import { Visitor } from "./visitor.ts";

/** Half of it may be pinned, which is fewer than want to be. */
const POOL_SIZE = 40;
const LEFT_WITHIN_MS = 15_000;

export interface IsolationReport {
  readonly clients: number;
  readonly seconds: number;
  readonly done: Readonly<Record<string, number>>;
  readonly leaks: readonly string[];
}

/** How statements go: as usual, without what makes usual ones fast, or with reads that share connections. */
const WAYS = {
  usual: {},
  long: { fast_path: { relay: false, templates: false } },
  multiplexed: { multiplexed_reads: { enabled: true } },
} as const;

export type Way = keyof typeof WAYS;

export async function runIsolation(
  clients: number,
  seconds: number,
  seed: number,
  way: Way,
): Promise<IsolationReport> {
  await using servers = await startServers({
    config: { pool: { size: POOL_SIZE }, ...WAYS[way] },
  });
  await servers.reset();
  await makeRoles(servers, clients);
  const random = seeded(seed);
  const { port } = servers.proxy;
  const visitors = Array.from(
    { length: clients },
    (_, id) => new Visitor(id, random(), port, STEPS),
  );
  const until = performance.now() + seconds * 1_000;
  await Promise.all(visitors.map((visitor) => visitor.run(until)));
  const done = new Map<string, number>();
  for (const visitor of visitors)
    for (const [step, count] of visitor.done) done.set(step, (done.get(step) ?? 0) + count);
  return {
    clients,
    seconds,
    done: Object.fromEntries(done),
    leaks: [...visitors.flatMap(({ leaks }) => leaks), ...(await leftBehind(servers))],
  };
}

/** Roles belong to a server; each database says what they may do. */
async function makeRoles({ first, second }: Servers, clients: number): Promise<void> {
  const roles = Array.from({ length: clients }, (_, id) => `CREATE ROLE visitor_${id}`).join("; ");
  const grants = "GRANT ALL ON public.accounts, public.late TO PUBLIC";
  await Promise.all([first.query("postgres", roles), second.query("postgres", roles)]);
  await first.query("main", `${grants}; GRANT USAGE ON SCHEMA side TO PUBLIC`);
  await second.query("east", grants);
  await second.query(
    "west",
    `${grants}; GRANT USAGE ON SCHEMA far TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA far TO PUBLIC`,
  );
}

/** Once all have left, so has what they held. */
async function leftBehind({ first, second }: Servers): Promise<readonly string[]> {
  const end = performance.now() + LEFT_WITHIN_MS;
  for (;;) {
    const found: string[] = [];
    for (const [server, database] of [
      [first, "main"],
      [second, "east"],
      [second, "west"],
    ] as const) {
      const { rows } = await server.query(database, LEFT);
      found.push(...rows.map(({ what }) => `left in ${database}: ${String(what)}`));
    }
    if (found.length === 0 || performance.now() > end) return found;
    await sleep(200);
  }
}

const LEFT = `
  SELECT 'lock ' || l.classid || ', ' || l.objid AS what FROM pg_locks AS l WHERE l.locktype = 'advisory'
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  UNION ALL SELECT 'relation ' || relname FROM pg_class WHERE relpersistence = 't'
  UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts WHERE database = current_database()
  UNION ALL SELECT 'transaction ' || query FROM pg_stat_activity
    WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`;

/** As the command prints it, and as a test shows it. */
export function printIsolation({ clients, seconds, done, leaks }: IsolationReport): string {
  const counts = Object.entries(done).map(([step, count]) => `${step} ${count}`);
  return [
    `${clients} clients for ${seconds} s: ${counts.join(", ")}`,
    `${leaks.length} leaks`,
    ...leaks.slice(0, LEAKS_PRINTED_MAX),
  ].join("\n");
}

const LEAKS_PRINTED_MAX = 40;
