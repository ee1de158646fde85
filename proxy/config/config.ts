/**
 * The configuration of one proxy process: where it listens, whom it lets in, and the
 * bounds it keeps. What lives where is the shard map's matter, not its.
 *
 * Every field has a default, so an empty file is a valid one. docs/config.md is
 * generated from the descriptions here. It reads no file: the caller gives the text.
 */
import { z } from "zod";
import { fields } from "../../base/document/fields.ts";
import { reportIssues } from "../../base/document/issues.ts";
import type { DocumentProblem, ProblemList } from "../../base/document/problems.ts";
import { type DocumentKind, readYaml } from "../../base/document/yaml.ts";
import {
  AUTHENTICATION_TIMEOUT_MS,
  BACKEND_CONNECT_TIMEOUT_MS,
  BACKEND_IDLE_MS,
  BACKEND_LIFETIME_MS,
  BREAKER_FAILED_PERCENT_DEFAULT,
  BREAKER_FAILURES_MIN_DEFAULT,
  CLIENTS_MAX_DEFAULT,
  CONCURRENCY_MIN_DEFAULT,
  CONCURRENCY_TOLERANCE_DEFAULT,
  DATABASE_GATHER_BYTES_MAX_DEFAULT,
  DRAIN_MS_DEFAULT,
  DRAIN_SPREAD_MS_DEFAULT,
  PAUSE_WAIT_MS_DEFAULT,
  POOL_SIZE_DEFAULT,
  POOL_WAIT_MS_DEFAULT,
  POOL_WAITERS_MAX,
  SHARED_CONNECTIONS_DEFAULT,
  SHARED_CONNECTIONS_MAX,
} from "../../base/limits.ts";
import { PRIORITIES } from "../../base/priority.ts";
import { contradictions } from "./contradictions.ts";

/** Node's timers hold 31 bits; a day is beyond any of these waits. */
const DURATION_MS_MAX = 86_400_000;

const port = z.int().min(1).max(65_535);
const durationMs = z.int().min(1).max(DURATION_MS_MAX);
const path = z.string().min(1);

const tls = fields({
  cert: path.describe(
    "PEM file with the server certificate, and the chain above it. A relative path starts at the configuration's own directory.",
  ),
  key: path.describe(
    "PEM file with the certificate's private key, without a passphrase; relative as `cert`.",
  ),
  require: z
    .boolean()
    .default(false)
    .describe("Refuse clients that do not ask for TLS. They get SQLSTATE 28000."),
});

const listen = fields({
  host: z.string().min(1).default("127.0.0.1").describe("Address or host name to listen on."),
  port: port.default(6432).describe("TCP port for clients."),
  tls: tls.optional().describe("TLS for clients, version 1.2 or later. Off where it is absent."),
  max_clients: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(CLIENTS_MAX_DEFAULT)
    .describe("Connected clients at once; the next one is refused with SQLSTATE 53300."),
});

const admin = fields({
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe(
      "Address for /metrics, /healthz, /readyz, /clients and /in-doubt. It asks for no password.",
    ),
  port: port.default(9632).describe("TCP port of the admin interface."),
});

const auth = fields({
  method: z
    .enum(["trust", "password", "md5", "scram-sha-256"])
    .default("trust")
    .describe(
      "How clients prove who they are. `trust` asks for nothing and is taken on a loopback address only; `password` is taken over TLS only.",
    ),
  users_file: path
    .optional()
    .describe(
      'File of users and passwords in PgBouncer\'s format: `"user" "password"`, where the password is plain, `md5...` or `SCRAM-SHA-256$...`. A relative path starts at the configuration\'s own directory.',
    ),
  query: z
    .string()
    .min(1)
    .optional()
    .describe(
      "Statement run in the catalog database instead of a users file: `$1` is the user's name, and it gives one row (name, password).",
    ),
});

const userNames = z.array(z.string().min(1)).default([]);

const consoleFields = fields({
  admin_users: userNames.describe(
    "Users who may connect to the database `colonnade`, the admin console, and give every command.",
  ),
  stats_users: userNames.describe(
    "Users who may connect there and SHOW everything but statements' texts.",
  ),
  users_file: path
    .optional()
    .describe(
      "Passwords for the console alone, in the format of `auth.users_file`; they are proven by SCRAM-SHA-256 whatever `auth` says. Without it, console users prove who they are as clients do.",
    ),
});

const adaptive = fields({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      "New transactions use fewer connections of a database while its answers take longer than they usually do, and more again as it recovers. Off, they use all of `pool.size`.",
    ),
  min: z
    .int()
    .min(1)
    .max(10_000)
    .default(CONCURRENCY_MIN_DEFAULT)
    .describe("They use as many at least, and `pool.size` at most."),
  tolerance: z
    .number()
    .min(1)
    .max(100)
    .default(CONCURRENCY_TOLERANCE_DEFAULT)
    .describe("How many times as long as usual answers may take before that begins."),
});

const breaker = fields({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      "While a database fails most of what it is asked (it cannot be reached, connections to it are lost, or it serves nobody), new transactions on it are refused at once with SQLSTATE 57P03, and it is asked every second whether it answers again.",
    ),
  failures_min: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(BREAKER_FAILURES_MIN_DEFAULT)
    .describe("Failures within ten seconds before that begins."),
  failed_percent: z
    .int()
    .min(1)
    .max(100)
    .default(BREAKER_FAILED_PERCENT_DEFAULT)
    .describe("And their share of all that the database was asked in that time."),
});

const pool = fields({
  size: z
    .int()
    .min(1)
    .max(10_000)
    .default(POOL_SIZE_DEFAULT)
    .describe(
      "Server connections per database at most. Where all are held by transactions that wait for another database's, the youngest gets SQLSTATE 40P01.",
    ),
  wait_ms: durationMs
    .default(POOL_WAIT_MS_DEFAULT)
    .describe("How long a statement waits for a free server connection before SQLSTATE 53300."),
  waiters_max: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(POOL_WAITERS_MAX)
    .describe(
      "Statements that wait for a connection to one database at once. Above it the least urgent, and of those the user's with most waiting, gets SQLSTATE 53300.",
    ),
  shed_early: z
    .boolean()
    .default(true)
    .describe(
      "A statement that would not be served within `pool.wait_ms`, as its database serves now, gets SQLSTATE 53300 at once rather than then. A transaction that holds a connection already is never refused so.",
    ),
  adaptive: adaptive
    .prefault({})
    .describe("How many connections a slow database is asked on at once."),
  breaker: breaker.prefault({}).describe("What is done about a database that does not answer."),
  lifetime_ms: durationMs
    .default(BACKEND_LIFETIME_MS)
    .describe("An older server connection is closed when its transaction ends."),
  idle_ms: durationMs
    .default(BACKEND_IDLE_MS)
    .describe("An unused server connection is closed after this."),
  pause_wait_ms: durationMs
    .default(PAUSE_WAIT_MS_DEFAULT)
    .describe(
      "How long a new transaction waits for a database that the console has paused before SQLSTATE 57P03, and how long PAUSE waits for running ones.",
    ),
});

const priority = z.enum(PRIORITIES);

const priorities = fields({
  users: z
    .record(z.string().min(1), priority)
    .default({})
    .describe(
      "By user. It is also the most that the user's applications and comments get: `users: { reports: low }`.",
    ),
  applications: z
    .record(z.string().min(1), priority)
    .default({})
    .describe("By application_name, which wins over the user."),
  comments: z
    .boolean()
    .default(true)
    .describe(
      "Read the comment `/* colonnade:priority=low */` (or normal, or high) at a statement's beginning or end, which wins over both.",
    ),
});

const gather = fields({
  database_bytes: z
    .int()
    .min(1)
    .default(DATABASE_GATHER_BYTES_MAX_DEFAULT)
    .describe(
      "Row bytes one statement may copy into temporary tables of the catalog database; above them SQLSTATE 53400.",
    ),
});

const fastPath = fields({
  templates: z
    .boolean()
    .default(true)
    .describe(
      "A statement that differs from one met before in its numbers and strings alone, its shard key among them or a parameter, is not parsed again. Off, it is.",
    ),
  relay: z
    .boolean()
    .default(true)
    .describe(
      "Statements that one database answers and whose plan is known are put to it, and its answer is relayed, by a short way. Off, they go the long way as all others; the answers are the same.",
    ),
});

const multiplexedReads = fields({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      "Statements outside of transactions that only read, and that one database answers, share connections with those of other clients: see docs/multiplexed-reads.md.",
    ),
  connections: z
    .int()
    .min(1)
    .max(SHARED_CONNECTIONS_MAX)
    .default(SHARED_CONNECTIONS_DEFAULT)
    .describe(
      "Connections of a database's pool that sessions of the same settings share at once, in one process.",
    ),
  databases: z
    .record(z.string().min(1), z.boolean())
    .default({})
    .describe(
      "By the name of a database, where it is otherwise than `multiplexed_reads.enabled` says.",
    ),
  users: z
    .record(z.string().min(1), z.boolean())
    .default({})
    .describe(
      "By user. Of what is said for a database and for a user, `false` has the last word: `users: { reports: false }`.",
    ),
});

const timeouts = fields({
  authentication_ms: durationMs
    .default(AUTHENTICATION_TIMEOUT_MS)
    .describe(
      "From a client's connect to its being authenticated; as PostgreSQL's authentication_timeout.",
    ),
  connect_ms: durationMs
    .default(BACKEND_CONNECT_TIMEOUT_MS)
    .describe("Opening and authenticating one server connection."),
});

const log = fields({
  level: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace"])
    .default("info")
    .describe(
      "Lines below this level are not written. SQL text appears at `debug` and below only.",
    ),
});

export const configSchema = fields({
  listen: listen.prefault({}).describe("The clients' side."),
  admin: admin.prefault({}).describe("The operator's side: metrics and health over HTTP."),
  auth: auth.prefault({}).describe("Authentication of clients."),
  console: consoleFields
    .prefault({})
    .describe("The admin console. Nobody may use it unless named here."),
  pool: pool.prefault({}).describe("Server connections, shared by all clients."),
  priorities: priorities
    .prefault({})
    .describe(
      "Who is served first where statements wait for a connection: high, then normal (what is not named), then low; users of one priority take turns.",
    ),
  gather: gather
    .prefault({})
    .describe("Statements whose rows are gathered in the catalog database."),
  fast_path: fastPath
    .prefault({})
    .describe("What makes usual statements fast; each can be turned off."),
  multiplexed_reads: multiplexedReads
    .prefault({})
    .describe("Reads of many clients over few server connections."),
  timeouts: timeouts.prefault({}).describe("Bounds on waits."),
  log: log.prefault({}).describe("JSON lines on standard output."),
  drain_ms: durationMs
    .default(DRAIN_MS_DEFAULT)
    .describe(
      "How long SIGTERM lets running transactions end before their clients are closed. A second SIGTERM, or SIGINT, does not wait.",
    ),
  drain_spread_ms: z
    .int()
    .min(0)
    .max(DURATION_MS_MAX)
    .default(DRAIN_SPREAD_MS_DEFAULT)
    .describe(
      "Idle clients are sent away over this time, in random order and with jitter, so that they do not all return at once; at most half of `drain_ms`, and less where clients are few.",
    ),
}).superRefine((config, context) => {
  for (const { path: at, message, remedy } of contradictions(config)) {
    context.addIssue({ code: "custom", path: [...at], message, params: { remedy } });
  }
});

export type Config = z.output<typeof configSchema>;

/** What an empty file means. */
export const DEFAULT_CONFIG: Config = configSchema.parse({});

const CONFIG_FILE: DocumentKind = {
  name: "a configuration",
  whenEmpty: undefined,
  reference: "docs/config.md",
};

/** `fileName` is only printed. `further` takes what only a look at the machine can find, such as a file that is not there. */
export function parseConfig(
  text: string,
  fileName: string,
):
  | { readonly config: Config; readonly further: ProblemList }
  | { readonly problems: readonly DocumentProblem[] } {
  const { value, problems } = readYaml(text, fileName, CONFIG_FILE);
  if (value === undefined) return { problems: problems.inOrder() };
  const result = configSchema.safeParse(value);
  if (!result.success) reportIssues(result.error.issues, value, problems, CONFIG_FILE);
  if (result.success && problems.isEmpty) return { config: result.data, further: problems };
  return { problems: problems.inOrder() };
}
