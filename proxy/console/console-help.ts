/** Every command there is, in the order of docs/console.md; SHOW HELP prints it. */
import { SHOW_CLIENTS, SHOW_SERVERS } from "./show-clients.ts";
import { column, show } from "./show.ts";
import type { Show } from "./show.ts";
import { SHOW_MIGRATIONS, SHOW_PROXIES } from "./show-fleet.ts";
import { SHOW_HOLDS } from "./show-holds.ts";
import { SHOW_MAP, SHOW_PLACEMENTS } from "./show-map.ts";
import { SHOW_DATABASES, SHOW_POOLS, SHOW_STATS } from "./show-pools.ts";
import { SHOW_CONFIG, SHOW_IN_DOUBT, SHOW_PLANS, SHOW_VERSION } from "./show-process.ts";

export interface Command {
  readonly syntax: string;
  readonly help: string;
}

/** All but SHOW: for users of console.admin_users alone. */
export const COMMANDS: readonly Command[] = [
  {
    syntax: "RELOAD",
    help: "Reads the shard map's file again, as SIGHUP does, and answers once the new map is in use. A map with mistakes is refused, and the old one stays. Under `--control` no file is read: the proxy asks the control schema for the map in force, and answers once it serves that, or refuses where it cannot; of several workers, once each of them does.",
  },
  {
    syntax: "PAUSE [database]",
    help: "New transactions wait for the database (or for all), running ones end; answers when none is left, and closes the idle connections. Those who wait longer than `pool.pause_wait_ms` are refused with SQLSTATE 57P03. If running transactions take that long, or the command is cancelled, PAUSE fails and nothing is paused. Connections that clients keep (SHOW CLIENTS, `pinned`) stay open, and so do the proxy's own for recovery and LISTEN.",
  },
  { syntax: "RESUME [database]", help: "Those who wait for the database (or for any) go on." },
  {
    syntax: "KILL id",
    help: "Ends a client: its statement is cancelled, its transaction rolled back, and it is told SQLSTATE 57P01. `KILL_CLIENT id` is the same.",
  },
  {
    syntax: "KILL database",
    help: "Ends every client that uses or waits for the database. Others are left alone; unlike in PgBouncer, the database is not paused.",
  },
  {
    syntax: "DRAIN",
    help: "As SIGTERM: the proxy takes no new clients, lets running transactions end, sends idle clients away with SQLSTATE 57P01 over `drain_spread_ms`, and stops when none is left, or after `drain_ms`. Answers at once.",
  },
];

const SHOW_HELP = show<Command>({
  name: "help",
  help: "All commands.",
  rows: () => [
    ...SHOWS.map(({ name, help }) => ({ syntax: `SHOW ${name.toUpperCase()}`, help })),
    ...COMMANDS,
  ],
  columns: [
    column("command", "text", "What to type.", ({ syntax }) => syntax),
    column("description", "text", "What it does.", ({ help }) => help),
  ],
});

export const SHOWS: readonly Show[] = [
  SHOW_DATABASES,
  SHOW_PLACEMENTS,
  SHOW_POOLS,
  SHOW_CLIENTS,
  SHOW_SERVERS,
  SHOW_STATS,
  SHOW_PLANS,
  SHOW_MAP,
  SHOW_PROXIES,
  SHOW_MIGRATIONS,
  SHOW_HOLDS,
  SHOW_IN_DOUBT,
  SHOW_CONFIG,
  SHOW_VERSION,
  SHOW_HELP,
];
