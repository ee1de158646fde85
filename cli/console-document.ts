/** docs/console.md: how to reach the admin console, and every command and column of it, from the code that prints them. */
import { CONSOLE_CLIENTS_MAX } from "../base/limits.ts";
import { COMMANDS, SHOWS } from "../proxy/console/console-help.ts";
import type { Show } from "../proxy/console/show.ts";

export function consoleDocument(): string {
  return [ENTRANCE, ...SHOWS.map(showSection), commandsSection(), FROM_PGBOUNCER].join("\n");
}

const ENTRANCE = `The database name \`colonnade\` on the clients' port is no database but the console of this proxy:

\`\`\`sh
psql -h 127.0.0.1 -p 6432 -U ops colonnade -c "SHOW POOLS"
\`\`\`

(A client that gives no database name asks for one of its user's name: the user \`colonnade\` must give one.)

Nobody may use it until the configuration names somebody:

\`\`\`yaml
console:
  admin_users: [ops]            # every command
  stats_users: [monitor]        # SHOW, but for SHOW PLANS, which prints what clients wrote
  users_file: console-users.txt # passwords for the console alone, proven by SCRAM-SHA-256
\`\`\`

Without \`users_file\`, they prove who they are as clients do, by \`auth\`; with \`auth.method: trust\`, which is taken on a
loopback address only, whoever says that it is \`ops\` is. A users file of its own also lets operators in while the catalog
database, which \`auth.query\` asks, is away. TLS is asked for as of clients. Each user that is named needs a line in that file,
with a plain password or \`SCRAM-SHA-256$…\`: without one, or with \`md5…\`, which SCRAM cannot prove, the proxy does not start.

The console has ${CONSOLE_CLIENTS_MAX} places of its own (each worker has as many), so a proxy that is full of clients lets operators in. Whoever finds them
taken is refused with SQLSTATE 53300. Each command that changes something is logged with its user.

The console answers the simple and the extended protocol, in text and binary, so that psql and drivers can read it. It
takes what drivers send by themselves: BEGIN and COMMIT (commands are not undone by ROLLBACK), SET of usual settings,
\`SELECT 1\`, \`SELECT version()\`, DISCARD ALL. It takes no parameters. Times are UTC.
Commands and what they show are read in either case, \`SHOW "POOLS"\` included.
`;

function showSection({ name, help, columns, isForAdmins }: Show): string {
  const rows = columns.map(
    (column) => `| \`${column.name}\` | ${column.type} | ${column.help.replaceAll("|", "\\|")} |\n`,
  );
  const who = isForAdmins ? " For users of `console.admin_users` alone." : "";
  return `## SHOW ${name.toUpperCase()}\n\n${help}${who}\n\n| column | type | what it tells |\n| --- | --- | --- |\n${rows.join("")}`;
}

function commandsSection(): string {
  const rows = COMMANDS.map(({ syntax, help }) => `| \`${syntax}\` | ${help} |\n`);
  return `## Commands\n\nFor users of \`console.admin_users\`. A command is answered once it is done.\n\n| command | what it does |\n| --- | --- |\n${rows.join("")}`;
}

const FROM_PGBOUNCER = `## For those who know PgBouncer

Columns of the same name tell the same, with a database of the map in the place of a \`[databases]\` entry. Clients belong to
no database until they run a transaction, and may use several at once, so \`link\` is a list and idle clients are in no
pool. SHOW LISTS, USERS, TOTALS and STATS_TOTALS are absent. Columns that would always be the same or empty here (\`replication\`, \`ptr\`, \`cl_waiting_cancel_req\`, \`reserve_pool_size\`,
\`disabled\` and their like) are left out, and so are SUSPEND, DISABLE, ENABLE, RECONNECT, WAIT_CLOSE, SHUTDOWN and SET of the
proxy's settings.
`;
