/**
 * Every bound the proxy holds itself to, each with its reason. A queue, a buffer, a
 * cache, a wait or a retry that has no entry here is a bug: what has no limit in code
 * finds one in production.
 */
import { invariant } from "./invariant.ts";

/** PostgreSQL refuses larger startup packets (MAX_STARTUP_PACKET_LENGTH); so do we, before authentication. */
export const STARTUP_PACKET_BYTES_MAX = 10_000;

/** Before a client has proven who it is, its messages are passwords and SASL answers, which are short. */
export const UNAUTHENTICATED_FRAME_BYTES_MAX = 65_536;

/** A client's largest message. PostgreSQL takes 1 GB (PQ_LARGE_MESSAGE_LIMIT); statements are planned in memory here. */
export const FRONTEND_FRAME_BYTES_MAX = 64 * 1024 * 1024;

/** PostgreSQL's own largest message: MaxAllocSize, 1 GB - 1. */
export const BACKEND_FRAME_BYTES_MAX = 0x3fffffff;

/** Hash rounds a SCRAM peer or verifier may ask for: PostgreSQL's default is 4,096; this many take about a second of one core. */
export const SCRAM_ITERATIONS_MAX = 1_000_000;

/** How long a client may take from connecting to being authenticated: PostgreSQL's authentication_timeout. */
export const AUTHENTICATION_TIMEOUT_MS = 60_000;

/** Row bytes a gather may hold across all shards before it refuses to go on. */
export const GATHER_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Placements that one text asks of a database. Each arm locks its tables and their indexes in the server's shared
 * lock table, which has room for 64 of them a connection (max_locks_per_transaction) unless told otherwise.
 */
export const UNION_ARMS_MAX = 128;

/** Characters of such a text: a longer one is parsed and planned as slowly as several. */
export const UNION_TEXT_LENGTH_MAX = 256 * 1024;

/** Row bytes one statement may gather in temporary tables of the catalog database, unless the config says otherwise: they are on its disk for as long as the statement runs. */
export const DATABASE_GATHER_BYTES_MAX_DEFAULT = 1024 * 1024 * 1024;

/** Columns of a table, and so of a temporary one: PostgreSQL's MaxHeapAttributeNumber. */
export const TABLE_COLUMNS_MAX = 1_600;

/** How long the answer of a statement that nobody reads any more may take to end by itself before the server is asked to stop it. */
export const ABANDONED_GRACE_MS = 10;

/** Bytes of merged rows that are handed on at once: a socket write of usual size. */
export const GATHER_RUN_BYTES = 64 * 1024;

/** What each output of a group is counted as beside its values: 300 to 350 bytes of heap were measured, sorting included. */
export const GATHER_GROUP_OVERHEAD_BYTES = 512;

/** Unread bytes of one backend before its socket is paused: a few reads of 64 kB. */
export const BACKEND_READ_AHEAD_BYTES = 256 * 1024;

/** Bytes read of servers, and copied, between two collections of garbage: some milliseconds of streaming. */
export const READ_GARBAGE_BYTES_MAX = 4 * 1024 * 1024;

/** Percent of what is in use that may come to it before garbage is looked for everywhere: V8's own answer is up to 300. */
export const HEAP_GROWING_PERCENT = 50;

/** Both halves of the young generation: of 128 MB, V8's own bound, nine tenths are garbage of statements that have ended. */
export const NEW_SPACE_BYTES_MAX = 16 * 1024 * 1024;

/** Users with their databases and settings that are kept once for all their clients: more than applications have, and some kB. */
export const FRONTEND_IDENTITIES_MAX = 200;

/** Unread bytes of one client, among them a whole message, before its socket is paused. */
export const FRONTEND_READ_AHEAD_BYTES = 256 * 1024;

/** Messages for one client up to this sum are joined into one write; larger ones are written as they are. */
export const FRONTEND_COALESCED_BYTES_MAX = 64 * 1024;

/** How long a closed client may take to read its last bytes before its socket is destroyed. */
export const FRONTEND_CLOSE_TIMEOUT_MS = 5_000;

/** Connections the kernel may hold that we have not accepted yet: Node's own default, and under Linux' somaxconn. */
export const LISTEN_BACKLOG = 511;

/** Idle time after which the kernel probes whether a client is still there; its default of two hours outlasts most NATs. */
export const FRONTEND_KEEPALIVE_MS = 60_000;

/** A users file is looked at again no more often than this. */
export const USERS_FILE_CHECK_INTERVAL_MS = 1_000;

/** Size of a users file: some 100,000 users with SCRAM secrets of about 135 bytes. */
export const USERS_FILE_BYTES_MAX = 16 * 1024 * 1024;

/** Users whose secrets are kept after asking the catalog database, unknown ones included. */
export const USER_SECRETS_MAX = 10_000;

/** How long a secret is trusted before the catalog database is asked again: a changed password takes this long to hold. */
export const USER_SECRET_TTL_MS = 5_000;

/** Unsent bytes for one client before its backends are paused. */
export const FRONTEND_UNSENT_BYTES = 256 * 1024;

/** Backends one (database, user) pool may open, unless the config says otherwise: PgBouncer's default_pool_size is 20. */
export const POOL_SIZE_DEFAULT = 20;

/** How long a statement waits for a free backend before it is refused with 53300. */
export const POOL_WAIT_MS_DEFAULT = 15_000;

/** Share of a pool that sessions may keep between their transactions: the rest serves everybody else. */
export const POOL_PINNED_SHARE_MAX = 0.5;

/** How long a backend that was pinned may take to forget its session before it is closed instead. */
export const PINNED_CLEANING_TIMEOUT_MS = 5_000;

/** Statements that may wait for one pool at once; the next is refused at once. */
export const POOL_WAITERS_MAX = 10_000;

/** Users of a full queue among whom the one with most waiting is looked for: those whose turns are next, so that a refusal costs microseconds however many users there are. */
export const QUEUE_USERS_LOOKED_AT = 64;

/** What a pool's server did is held against it for so long: a few times as long as a server takes to restart. */
export const SERVICE_WINDOW_MS = 10_000;

/** Steps by which that window slides: a tenth of it is forgotten at once. */
export const SERVICE_WINDOW_STEPS = 10;

/** Connections given back in the window before a wait is estimated from how long they were lent. */
export const SERVICE_SAMPLES_MIN = 10;

/** Failures in the window before a database's circuit may open, unless the config says otherwise: one restart fails what is under way, and should not. */
export const BREAKER_FAILURES_MIN_DEFAULT = 20;

/** Share of failures, in percent, that opens it: most of what was asked was for nothing. */
export const BREAKER_FAILED_PERCENT_DEFAULT = 50;

/** How often a server whose circuit is open is asked whether it answers: what a returned server's clients may wait at most. */
export const BREAKER_PROBE_INTERVAL_MS = 1_000;

/** How often the limit of an adaptive pool moves: often enough to follow a server, and seldom enough to see what came of the last move. */
export const CONCURRENCY_STEP_MS = 500;

/** Lendings measured before it moves. */
export const CONCURRENCY_SAMPLES_MIN = 10;

/** How far what is usual follows a slower server in one step: half of the way in about a minute. */
export const CONCURRENCY_USUAL_DRIFT = 1 / 200;

/** The least that an adaptive pool lends to new transactions, unless the config says otherwise: enough to see whether the server is quick again. */
export const CONCURRENCY_MIN_DEFAULT = 4;

/** How many times longer than usual answers may take, unless the config says otherwise, before fewer are asked for: twice is within what a cold cache costs. */
export const CONCURRENCY_TOLERANCE_DEFAULT = 2;

/** Processes on one listening address; more than a machine has cores gain nothing. */
export const WORKERS_MAX = 64;

/** Connections of each pool that a worker must have: one that sessions may keep, and one that goes round. */
export const WORKER_POOL_SIZE_MIN = 2;

/** First pause before a worker that has ended is started again. It doubles each time, so that one that cannot live costs little. */
export const WORKER_RESTART_MS_MIN = 100;

/** Longest of those pauses. */
export const WORKER_RESTART_MS_MAX = 10_000;

/** A worker that has lived for so long starts over with the first pause. */
export const WORKER_STEADY_MS = 60_000;

/** Starts that fail in a row, with no worker left that serves, before the whole process ends: whoever started it is to know. */
export const WORKER_START_FAILURES_MAX = 10;

/** How long a worker may take to answer the supervisor: a collection of garbage and a long parse, and no more. */
export const WORKER_ANSWER_TIMEOUT_MS = 5_000;

/** How long a worker may take to put a map in force: twice MAP_READ_WAIT_MS, and the pools. */
export const WORKER_APPLY_TIMEOUT_MS = 30_000;

/** How long a worker may outlive its drain, or its stop, before it is killed. */
export const WORKER_END_GRACE_MS = 5_000;

/** A backend that is older is closed when it comes back, so that load balancers and memory settle: PgBouncer's server_lifetime. */
export const BACKEND_LIFETIME_MS = 3_600_000;

/** Idle backends are closed after this: PgBouncer's server_idle_timeout. */
export const BACKEND_IDLE_MS = 600_000;

/** How long opening and authenticating one backend may take. */
export const BACKEND_CONNECT_TIMEOUT_MS = 10_000;

/** Statements that are known but for their literals, and as many of which nothing is known; an application has some hundred. */
export const LITERAL_TEMPLATES_MAX = 1_000;

/** Characters of a text that such a statement is looked for by, and literals in it: a list of values has many, in many numbers. */
export const LITERAL_TEMPLATE_LENGTH_MAX = 4_000;
export const LITERAL_TEMPLATE_LITERALS_MAX = 16;

/** Descriptions of columns that relayed answers began with, by database: some hundred bytes each. */
export const RELAYED_COLUMNS_MAX = 1_000;

/** Plans kept per process; about 4 kB each. */
export const PLAN_CACHE_ENTRIES_MAX = 5_000;

/** Plans kept for one session that has temporary tables, and shares none with others. */
export const OWN_PLANS_MAX = 100;

/** Contexts (search_path, parameter types, user) one text keeps plans for; the newest stay. */
export const PLAN_CACHE_VARIANTS_MAX = 8;

/** Longer statements are planned each time: an INSERT of many rows is hardly sent twice, and would push others out. */
export const PLAN_CACHE_TEXT_LENGTH_MAX = 32 * 1024;

/** Statements one client may keep prepared; PostgreSQL has no bound but its memory. */
export const PREPARED_STATEMENTS_PER_CLIENT_MAX = 10_000;

/** Portals one client may keep open in one transaction. */
export const PORTALS_PER_CLIENT_MAX = 1_000;

/** Characters of the SET statements that make one client's settings. PostgreSQL's own settings need a few hundred. */
export const SETTINGS_LENGTH_MAX = 16 * 1024;

/**
 * Bytes of default settings that each server connection is opened with. PostgreSQL takes startup
 * packets of up to 10,000; the rest is for the user, the database and the proxy's name.
 */
export const SESSION_DEFAULTS_BYTES_MAX = 9_000;

/** Statements with longer texts are described each time, rather than kept with all their text. */
export const DESCRIPTION_KEY_LENGTH_MAX = SETTINGS_LENGTH_MAX + PLAN_CACHE_TEXT_LENGTH_MAX;

/** Savepoints one transaction may hold: each is replayed in every database that joins later. */
export const SAVEPOINTS_PER_TRANSACTION_MAX = 10_000;

/** Statements kept prepared on one backend before the oldest is closed. */
export const PREPARED_STATEMENTS_PER_BACKEND_MAX = 500;

/** Of a Parse that a connection keeps, to know the next one by its bytes. Longer ones are looked up by their text. */
export const DIRECT_PARSE_BYTES_MAX = 2 * 1024;

/** Texts of the simple protocol whose templates a session keeps at hand: a transaction's statements, with what begins and ends it. */
export const DIRECT_TEXTS_MAX = 12;

/**
 * Statements of one client's pipeline that are under way on a connection at once. Beyond a few, fewer round trips
 * save little more; and others wait for the connection, and who moves the rows for the answers, until the last.
 */
export const PIPELINED_STATEMENTS_MAX = 32;

/** What a statement may take, on the whole, for others to be sent with it: so they keep a connection for some seconds at most. */
export const PIPELINED_STATEMENT_SLOW_MS = 100;

/** Statements of a pipeline that nobody wants any more are each cancelled; again after this, where a request came between two. */
export const PIPELINE_CANCEL_MS = 100;

/** For how long that is tried before the connection is closed, and the server left to find that out. */
export const PIPELINE_STOP_MS_MAX = 5_000;

/** Longest SQL text that is parsed. The WASM parser needs about 60 times the text's size. */
export const SQL_TEXT_BYTES_MAX = 16 * 1024 * 1024;

/** Operands in one run without a comma, keyword or parenthesis; more overflows the parser's stack (PostgreSQL itself fails with 54001 between 3,000 and 5,000). */
export const SQL_OPERATOR_RUN_MAX = 4_000;

/** Characters the grammar's scanner may read again after comment starts: some 20 ms. */
export const SQL_COMMENT_SCAN_MAX = 2_000_000;

/** Nesting of parentheses, brackets and CASE. */
export const SQL_NESTING_MAX = 1_000;

/** Instances of the SQL parser kept ready beside the one in use; one that overflowed is thrown away. */
export const PARSER_SPARES = 2;

/** A parser that has touched memory beyond this is replaced, since WASM memory never shrinks. Its own tables and its stack end at 33 MB, and a text of 100 kB at 36. */
export const PARSER_MEMORY_BYTES_MAX = 48 * 1024 * 1024;

/** Depth our own tree walkers go to. */
export const AST_DEPTH_MAX = 5_000;

/** PostgreSQL's own identifier length, NAMEDATALEN - 1, in bytes. */
export const IDENTIFIER_BYTES_MAX = 63;

/** Ids one proxy draws from a global sequence at once, unless the map says otherwise: each unused one is a gap after a restart. */
export const SEQUENCE_BLOCK_SIZE = 32;

/** The most that a map may say: some ten milliseconds of nextval(), for which other clients wait. */
export const SEQUENCE_BLOCK_SIZE_MAX = 10_000;

/** Age of a prepared transaction of ours before a recovery pass may decide it: its own proxy would have done so. */
export const IN_DOUBT_AGE_MS = 2_500;

/** How often the recovery of in-doubt transactions looks at every database: with IN_DOUBT_AGE_MS, what a dead proxy left is decided within 5 s. */
export const RECOVERY_INTERVAL_MS = 1_000;

/** How long recovery waits for a coordinator that is committing just now, before it tries again in its next pass. */
export const IN_DOUBT_LOCK_TIMEOUT_MS = 1_000;

/** Commit records deleted by one statement, so that it stays short. */
export const COMMIT_RECORDS_FORGOTTEN_AT_ONCE = 500;

/** How often a proxy looks for commit records that a proxy which died has left. */
export const RECORD_SWEEP_INTERVAL_MS = 5_000;

/** Age of a commit record before anybody but its own proxy asks whether it is still needed: nearly all are gone by then. */
export const COMMITTED_RECORD_AGE_MS = 5_000;

/** How much a server's clock may be set back without a commit overtaking the record that it was decided against. */
export const ABORTED_RECORD_MARGIN_MS = 10_000;

/** Unsent bytes for one backend before its sender waits: COPY and large parameters. */
export const BACKEND_UNSENT_BYTES = 256 * 1024;

/** How long a cancel request may take, connecting included; it is a courtesy, not a promise. */
export const BACKEND_CANCEL_TIMEOUT_MS = 5_000;

/** A backend that was asked to end and did not is cut off after this. */
export const BACKEND_CLOSE_TIMEOUT_MS = 5_000;

/** Bytes a control statement's answer may have: a catalog of 50,000 tables is about 100 MB. */
export const CONTROL_ANSWER_BYTES_MAX = 256 * 1024 * 1024;

/** An idle backend is asked before it is used again after this long: PgBouncer's server_check_delay. */
export const BACKEND_CHECK_AFTER_IDLE_MS = 30_000;

/** How long an idle backend may take to answer that question. */
export const BACKEND_CHECK_TIMEOUT_MS = 2_000;

/** Keepalive probes start after this silence, so that a vanished server is noticed in minutes and not hours. */
export const BACKEND_KEEPALIVE_MS = 60_000;

/** First wait after a failed connect. It doubles with each failure, so that a server that comes back is not stormed. */
export const POOL_RECONNECT_MS_MIN = 50;

/** Longest wait between connects: what a returned server's first statement may wait at most. */
export const POOL_RECONNECT_MS_MAX = 1_000;

/** How often a pool looks for idle connections to close. */
export const POOL_SWEEP_INTERVAL_MS = 15_000;

/** Connected clients at once, unless the config says otherwise: each costs about 10 kB and one file descriptor. */
export const CLIENTS_MAX_DEFAULT = 10_000;

/** How long a drain lets transactions end, unless the config says otherwise: under the 90 s after which systemd kills. */
export const DRAIN_MS_DEFAULT = 30_000;

/** Statement descriptions kept per process; some hundred bytes each. */
export const DESCRIPTION_CACHE_ENTRIES_MAX = 10_000;

/** Distinct combinations of settings remembered per process; clients of one application share a few. */
export const ENVIRONMENT_CACHE_ENTRIES_MAX = 1_000;

/** Characters of a YAML file: a shard map of 10,000 placements take about 600 kB, and the YAML parser a second or two for 1 MB. */
export const DOCUMENT_CHARACTERS_MAX = 1024 * 1024;

/** Problems of a YAML file that are reported; the rest are counted. */
export const DOCUMENT_PROBLEMS_MAX = 1_000;

/** Levels of nesting in a YAML file: a shard map needs seven, and the YAML parser is recursive. */
export const DOCUMENT_NESTING_MAX = 64;

/** Uses of one YAML anchor, nested uses multiplied: an alias for each placement, but no bomb. */
export const DOCUMENT_ALIASES_MAX = 10_000;

/** Logical shards of one colocation: each is an entry in memory, and the hash's modulo is exact up to 2^21. */
export const LOGICAL_SHARDS_MAX = 2 ** 20;

/** A scraper's request is one short line; a peer that dawdles is cut off. */
export const ADMIN_REQUEST_TIMEOUT_MS = 5_000;

/** Request line and headers of the admin interface; Node's own default is 16 kB. */
export const ADMIN_HEADERS_BYTES_MAX = 8_192;

/** Connections to the admin interface at once: a few scrapers and people. */
export const ADMIN_CONNECTIONS_MAX = 100;

/** How long loading the catalog may take, waiting for a connection included. */
export const CATALOG_LOAD_TIMEOUT_MS = 60_000;

/** Columns of a composite shard key: the CHECK that guards a placement trebles with each (PostgreSQL's partition keys have 32). */
export const KEY_COLUMNS_MAX = 4;

/** Query levels (sub-selects, WITH queries, arms of UNION) of one statement; generated SQL of ORMs stays below a hundred. */
export const ANALYSIS_LEVELS_MAX = 2_000;

/** Outer joins of one level that are looked at for whether their NULL rows matter: each is held against all others. */
export const MATCHED_OUTER_JOINS_MAX = 50;

/** Names of views that are put out of one statement's text, those inside views included; each is a copy of the view's query. */
export const VIEWS_EXPANDED_MAX = 500;

/** Visits of query levels while one statement's levels are tied to placements; a chain of WITH queries may need several of each. */
export const ANALYSIS_VISITS_MAX = 20_000;

/** Alternatives a composite key may be pinned to by IN lists on its columns; more are sent to every placement. */
export const PINNED_KEYS_MAX = 1_000;

/** Characters that the rows of an INSERT ... SELECT take as constants, where they are read before they are inserted: parsing takes some 60 times as much memory. */
export const INSERT_QUERY_LENGTH_MAX = 4 * 1024 * 1024;

/** How long one recovery pass may take for one database before it is left to the next. */
export const RECOVERY_PASS_TIMEOUT_MS = 10_000;

/** How long a map that is applied waits for answers of the catalog database, and then of the others: a cutover, with its clients held, waits for that. */
export const MAP_READ_WAIT_MS = 1_000;

/** How often the catalog database is asked whether somebody else changed its tables. */
export const CATALOG_POLL_INTERVAL_MS = 5_000;

/** How often the gauges of pools are read: a scrape interval is rarely shorter than 5 s. */
export const GAUGE_INTERVAL_MS = 1_000;

/** How often a draining proxy looks whether its sessions have ended. */
export const DRAIN_POLL_MS = 20;

/** How long the catalog database may take to give a user's secret, well below AUTHENTICATION_TIMEOUT_MS. */
export const SECRET_QUERY_TIMEOUT_MS = 10_000;

/** Times that a statement is planned again because tables have changed under it: each needs DDL to commit just then. */
export const STALE_PLAN_RETRIES_MAX = 5;

/** Before the second time, and twice as long before each after it: DDL that somebody runs in one database after the other is soon in all. */
export const STALE_PLAN_PAUSE_MS = 20;

/** Rows that one Execute asks of a suspended portal: enough that its round trip costs little. */
export const PORTAL_ROWS_AT_ONCE = 500;

/** Those rows are held until they are taken. */
export const PORTAL_ROWS_BYTES_MAX = 64 * 1024 * 1024;

/** Rows that all cursors of a client keep in the proxy: to scroll through, or past their transaction. */
export const CURSOR_ROWS_BYTES_MAX = 64 * 1024 * 1024;

/** Rows of a COPY that make one batch for a placement: large enough that its round trip costs little. */
export const COPY_BATCH_BYTES = 1024 * 1024;

/** Rows of a COPY that wait or are under way, for all placements: beyond it the client waits. */
export const COPY_BUFFERED_BYTES_MAX = 32 * 1024 * 1024;

/** One row of a COPY whose rows are taken apart: it is held whole. */
export const COPY_ROW_BYTES_MAX = 64 * 1024 * 1024;

/** Sequence values drawn ahead for the rows of a COPY: those that are not used are gaps. */
export const COPY_ROWS_DRAWN_AT_ONCE = 500;

/** Records within records in one binary value whose type OIDs are translated. */
export const VALUE_NESTING_MAX = 64;

/** How long a statement waits before anybody asks whether it is in a deadlock over several databases: PostgreSQL's deadlock_timeout. */
export const DEADLOCK_CHECK_AFTER_MS = 1_000;

/** How often a statement's wait is looked at, in memory alone: what a deadlock may last longer than it must. */
export const DEADLOCK_TICK_MS = 250;

/** Time between two looks at a deadlock: a wait that only looks like part of one is mostly over by then. */
export const DEADLOCK_CONFIRM_AFTER_MS = 100;

/** How long one database may take to say who waits for whom, connecting included. */
export const DEADLOCK_LOOK_TIMEOUT_MS = 2_000;

/** Waiting processes read of one database: in a queue for one row each names all before it, so their number counts squared. */
export const DEADLOCK_WAITERS_MAX = 500;

/** How long it counts what a proxy has told others of its waiting transactions; it tells it again every DEADLOCK_CHECK_AFTER_MS. */
export const SHARED_HOLDERS_FRESH_MS = 5_000;

/** Deadlocks broken in one look; the next look, a second later, sees the others. */
export const DEADLOCKS_BROKEN_AT_ONCE = 32;

/** Lines of a deadlock's detail: nobody reads more, and a circle may have hundreds of members. */
export const DEADLOCK_DETAIL_LINES_MAX = 50;

/** Characters of a function's text that the catalog reads: hand-written ones are shorter, and a longer one is taken for one that reaches tables. */
export const ROUTINE_BODY_CHARACTERS_MAX = 64 * 1024;

/** Bytes of one line or entry of a log that `colonnade analyze` reads; a longer one is passed over and counted. */
export const ANALYZED_LINE_BYTES_MAX = 16 * 1024 * 1024;

/** Sessions whose open transaction or untimed statement `colonnade analyze` remembers; the oldest is forgotten. */
export const ANALYZED_SESSIONS_MAX = 10_000;

/** Statements that `colonnade analyze` tells apart by their shape; what comes after them is counted and not planned. */
export const ANALYZED_SHAPES_MAX = 50_000;

/** Characters of the statements that `colonnade analyze` keeps, one of each shape; their trees are about twenty times as large. */
export const ANALYZED_TEXT_LENGTH_MAX = 16 * 1024 * 1024;

/** Maps that `colonnade analyze --suggest` plans the statements against until it keeps the best. */
export const SUGGESTED_MAPS_MAX = 300;

/** Connections to the admin console at once. They are not counted among the clients: a proxy that is full can still be asked why. */
export const CONSOLE_CLIENTS_MAX = 20;

/** Characters of one query string of the console: its commands are one line. */
export const CONSOLE_QUERY_LENGTH_MAX = 10_000;

/** Prepared statements, and portals, of one console connection: a driver needs a few. */
export const CONSOLE_STATEMENTS_MAX = 100;

/** Characters of a statement's text that SHOW PLANS prints: all plans with their whole texts may be 160 MB. */
export const CONSOLE_PLAN_TEXT_LENGTH_MAX = 1_000;

/** How often averages of SHOW STATS are taken: PgBouncer's stats_period. */
export const STATISTICS_PERIOD_MS = 60_000;

/** How long a transaction waits for a paused database, and PAUSE for running transactions, unless the config says otherwise: PgBouncer's query_wait_timeout. */
export const PAUSE_WAIT_MS_DEFAULT = 120_000;

/** Transactions that may wait for paused databases at once; the next is refused at once. */
export const PAUSED_WAITERS_MAX = 10_000;

/** How often PAUSE looks whether the running transactions have ended. */
export const PAUSE_POLL_MS = 20;

/** How often sessions that are awake are looked at, whether they may sleep. */
export const SESSION_REVIEW_MS = 50;

/** How long a session does nothing before it sleeps: an engine that collects young objects a few times a second has not moved it yet. */
export const SESSION_SHORT_REST_MS = 50;

/** The same of a session that was woken too often within this time: to be made anew costs a part of what a statement does, and should be rare. */
export const SESSION_REST_MS = 5_000;

/** Sleeps in a row that may end within SESSION_REST_MS before a session is let rest longer. */
export const SHORT_SLEEPS_MAX = 2;

/** How long a killed client's statement may take to stop before the client is cut off. */
export const KILL_GRACE_MS = 1_000;

/** Over how long a drain spreads sending idle clients away, unless the config says otherwise: 10,000 of them log in again at 2,000 a second. */
export const DRAIN_SPREAD_MS_DEFAULT = 5_000;

/** A drain of few clients is no longer than this for each of them: nobody is stormed by ten. */
export const DRAIN_SPREAD_MS_PER_CLIENT = 10;

/** How long the backend that listens for a proxy may take to answer before its connection is made anew. */
export const NOTIFICATION_ANSWER_TIMEOUT_MS = 5_000;

/** How often that backend is asked whether it is there: a connection that vanished without a word is noticed no later. */
export const NOTIFICATION_CHECK_INTERVAL_MS = 10_000;

/** Notifications that wait for one client, which is in a transaction or does not read; beyond it the client is sent away. */
export const NOTIFICATIONS_UNREAD_BYTES_MAX = 4 * 1024 * 1024;

/** What each of them is counted as beside its bytes, which all clients share. */
export const NOTIFICATION_OVERHEAD_BYTES = 64;

/** Notifications written to a client between two looks at whether it reads. */
export const NOTIFICATIONS_WRITTEN_AT_ONCE = 32;

/** Channels one client may listen to, those that its open transaction names included. */
export const LISTENED_CHANNELS_PER_CLIENT_MAX = 10_000;

/**
 * How long a database may take with what a command asks of it, such as the sizes of a table's partitions. The longest is `migrate
 * doctor --clean`, which waits for the locks of what it takes away. Guards have no such limit: to look at a large table's rows takes as long as it does.
 */
export const COMMAND_ANSWER_TIMEOUT_MS = 120_000;

/** How long a statement in the control schema runs there at most. Nothing takes long: what does, waits for a lock that a dead client still holds. */
export const CONTROL_STATEMENT_TIMEOUT_MS = 10_000;

/** How long its answer is waited for: a server that ends the statement by itself is heard, and one that is frozen, or cut off, holds up nobody. */
export const CONTROL_ANSWER_TIMEOUT_MS = 15_000;

/** Opening a connection to the control schema; a server that is away must not hold a command up for long. */
export const CONTROL_CONNECT_TIMEOUT_MS = 5_000;

/** How often a proxy of a fleet renews its row: a published map is in force this soon even where a notification is lost. */
export const FLEET_RENEW_INTERVAL_MS = 500;

/** The same while statements are held back, so that who holds them sees how many. */
export const FLEET_HOLDING_RENEW_INTERVAL_MS = 100;

/** A renewal without an answer for so long ends the connection: the next one may reach a server that has taken over. */
export const FLEET_RENEW_TIMEOUT_MS = 3_000;

/** A proxy that has not renewed its row for so long is shown as dead, or cut off, and a publication does not wait for it. */
export const FLEET_SILENT_MS = 5_000;

/** How long a proxy may serve leased placements without the control schema: longer than a failover of it takes. */
export const FLEET_LEASE_MS = 30_000;

/** The same while a hold is asked for: who holds waits this long for a proxy that is gone. Several renewals, so that one late answer costs nothing. */
export const FLEET_LEASE_SHORT_MS = 2_000;
invariant(
  FLEET_LEASE_SHORT_MS >= 3 * FLEET_RENEW_INTERVAL_MS,
  "a lease lasts over a renewal that is late, and one that is lost",
);

/** A proxy counts its lease so much shorter, and others so much longer, than it is: more than two clocks ever drift apart. */
export const FLEET_LEASE_DRIFT = 0.05;

/** What others add to a lease that has run out: between its check and the write to a socket a proxy needs some moments. */
export const FLEET_LEASE_MARGIN_MS = 100;

/** How long after a renewal a proxy of a fleet plans by the catalog that it has; then it asks the catalog database before each statement, until it hears of the fleet again. */
export const CATALOG_TRUST_MS = 2_000;
invariant(
  CATALOG_TRUST_MS >= 3 * FLEET_RENEW_INTERVAL_MS,
  "a catalog is trusted over a renewal that is late, and one that is lost",
);

/** How long a COMMIT of DDL waits for the other proxies to have heard of it: several times what one that is gone takes. */
export const DDL_ANNOUNCE_TIMEOUT_MS = 10_000;
invariant(
  DDL_ANNOUNCE_TIMEOUT_MS >
    2 * (CATALOG_TRUST_MS * (1 + FLEET_LEASE_DRIFT) + FLEET_LEASE_MARGIN_MS),
  "a proxy that is gone is not what a COMMIT of DDL is refused for",
);

/** How often it looks: they hear of it in milliseconds. */
export const DDL_SEEN_POLL_MS = 3;

/** How long the catalog database may take to say whether it has changed, before it counts as not to be reached. */
export const CATALOG_CONFIRM_TIMEOUT_MS = 5_000;

/** A catalog database that could not be reached is asked again so much later; meanwhile statements that do not need it go on. */
export const CATALOG_AWAY_PAUSE_MS = 1_000;

/** How often who waits for proxies looks at their rows: a tenth of a usual pause. */
export const FLEET_ACK_POLL_MS = 20;

/** How long announcing a hold waits for leases to be short: a long one that nobody renews has run out by then. */
export const HOLD_ANNOUNCE_TIMEOUT_MS = 40_000;
invariant(
  HOLD_ANNOUNCE_TIMEOUT_MS > FLEET_LEASE_MS * (1 + FLEET_LEASE_DRIFT) + FLEET_LEASE_MARGIN_MS,
  "a proxy that is gone does not stop a hold",
);

/** How long proxies may take to say that a placement is leased: each hears of it at once, or at its next renewal. */
export const LEASED_ACK_TIMEOUT_MS = 10_000;

/** The longest hold, by how long after its start anybody may end it: clients wait for it. */
export const HOLD_MS_MAX = 60_000;

/** What a rehearsal of a hold has leased is given back by the next one after so long: it has died, since none lasts longer. */
export const REHEARSAL_ABANDONED_MS = 600_000;
invariant(
  REHEARSAL_ABANDONED_MS > LEASED_ACK_TIMEOUT_MS + HOLD_ANNOUNCE_TIMEOUT_MS + HOLD_MS_MAX,
  "no rehearsal is taken for dead while it runs",
);

/** Holds that have ended are kept for a week, for whoever asks what happened. */
export const HOLD_KEPT_DAYS = 7;

/** Statements that may be held back at once, each of a session of its own: as many as there are clients by default. */
export const HELD_STATEMENTS_MAX = 10_000;

/** Bytes of texts and parameters that statements held back may keep; the rest of each is a few hundred bytes. */
export const HELD_BYTES_MAX = 64 * 1024 * 1024;

/** How long one statement is held back at most: a driver's usual patience is longer, and a cutover takes 2 s. */
export const HELD_MS_MAX = 10_000;

/** Over how long statements that go on after a hold are spread at most, so that not all reach the servers at once. */
export const HOLD_RESUME_SPREAD_MS_MAX = 100;

/** The spread of a few of them is no longer than this for each: 5,000 a second, which is what one process sends anyway. */
export const HOLD_RESUME_SPREAD_MS_PER_STATEMENT = 0.2;

/** How often a proxy looks whether transactions on held placements have ended: they do so in milliseconds. */
export const HOLD_OPEN_POLL_MS = 10;

/** How long a proxy that stops tries to take its row away. */
export const FLEET_LEAVE_TIMEOUT_MS = 1_000;

/** Rows of proxies that have been silent for a day are deleted: by then somebody knows. */
export const FLEET_FORGET_SILENT_MS = 86_400_000;

/** How often a proxy looks for such rows: none is there for an hour more than that while a proxy runs. */
export const FLEET_FORGET_INTERVAL_MS = 3_600_000;

/** How long `map publish` waits for the proxies to follow before it says which have not. */
export const PUBLISH_WAIT_MS = 5_000;

/** Warnings that `map publish` prints, of however many tables: `check --live` prints all. */
export const PUBLISH_WARNINGS_SHOWN_MAX = 10;

/** How long the catalog database may take to name its tables right before a map is in force: proxies wait for it. */
export const LAST_LOOK_TIMEOUT_MS = 1_000;

/** How often it looks. */
export const PUBLISH_POLL_MS = 50;

/** Versions that `map history` prints. */
export const MAP_HISTORY_MAX = 100;

/** How long adding or dropping a guard waits for a table's lock: whoever comes later waits behind it. */
export const GUARD_LOCK_TIMEOUT_MS = 2_000;

/** How long guard install counts the misplaced rows of a table that has some: a number helps, and is not worth a second look at a large table. */
export const GUARD_COUNT_TIMEOUT_MS = 10_000;

/** Letters of a migration's name: its moves, where there are several, are numbered after it. */
export const MIGRATION_NAME_LENGTH_MAX = 36;

/** From the first statement that a cutover holds back until service is restored, on whichever side. */
export const MIGRATION_PAUSE_MS = 2_000;

/** Of it, what is left to a proxy's clock and event loop, where it ends a hold by itself since nobody tells it to. */
export const MIGRATION_HOLD_SLACK_MS = 25;

/** Of it, what is kept for the flip, or for taking the fence away. */
export const MIGRATION_RESERVE_MS = 200;

/** Copying waits while a standby is this far behind: longer, and whoever reads there reads the past. */
export const MIGRATION_REPLICA_LAG_MS = 5_000;

/** Copying waits while so many clients' sessions are at work in a server: each of its workers would take turns with them. */
export const MIGRATION_ACTIVE_SESSIONS = 100;

/** How often it is looked whether copying may go on. */
export const MIGRATION_THROTTLE_POLL_MS = 500;

/** Percent of the log that a slot may keep: where less is left, copying waits until the stream has caught up. */
export const MIGRATION_SLOT_BUDGET_PERCENT = 25;

/** How far ahead a cutover may be asked for: a process has to wait for it. */
export const MIGRATION_AT_MAX_MS = 86_400_000;

/** For an attempt's end, from who asked for it: many pauses and a change of orchestrators, and no longer than people look at a prompt. */
export const MIGRATION_CUTOVER_WAIT_MS = 60_000;

/** How often an orchestrator looks whether a command has changed a migration. */
export const MIGRATION_POLL_MS = 100;

/** How often it looks while statements are held. */
export const MIGRATION_CUTOVER_POLL_MS = 10;

/** How long an orchestrator waits before it tries again what failed because a server was away. */
export const MIGRATION_RETRY_MS = 500;

/** How often an orchestrator says that it lives. */
export const ORCHESTRATOR_BEAT_MS = 500;

/** An orchestrator that has been silent for so long may be replaced; what it does late has no effect. */
export const ORCHESTRATOR_SILENT_MS = 5_000;

/** The fence waits so long for the writers of a table at a time: whoever comes later waits behind it. */
export const FENCE_LOCK_TIMEOUT_MS = 400;

/** A stream is current when a marker passes it within this time. */
export const MIGRATION_CURRENT_MS = 1_000;

/** How often the same row has to be missed by a foreign key, each time after every stream was current: of several sources one may be ahead of the other for a moment. */
export const MIGRATION_REFERENCE_SIGHTINGS = 3;

/** Chunks of one migration that are copied at once. */
export const MIGRATION_COPY_WORKERS = 2;

/** How often `migrate status --watch` looks. */
export const MIGRATION_WATCH_MS = 1_000;

/** Events of a migration that `migrate status` prints. */
export const MIGRATION_EVENTS_PRINTED = 20;

/** Free connections that a migration needs on each of its servers: copy workers, applier, verification and what watches. */
export const PREFLIGHT_CONNECTIONS = 12;

/** How long a proxy's own transaction may be prepared before it counts as left: the second phase of a commit follows the first at once. */
export const PREFLIGHT_COMMIT_MS = 1_000;

/** A transaction that is older is told before a migration: making a slot waits for it. */
export const PREFLIGHT_LONG_TRANSACTION_MS = 60_000;

/** One question of preflight's: it reads catalogs, and at most one row of a table. */
export const PREFLIGHT_STATEMENT_TIMEOUT_MS = 30_000;

/** Letters of a move's name: slots and publications, which carry it, have 63. */
export const MOVE_NAME_LENGTH_MAX = 50;

/** Opening one of a migration's own connections. */
export const MOVE_CONNECT_TIMEOUT_MS = 10_000;

/** How long making a replication slot waits for open writers at a time; then it is tried again. */
export const MOVE_SLOT_LOCK_TIMEOUT_MS = 5_000;

/** How often it is tried: writers that are open for longer than these tries are named instead. */
export const MOVE_SLOT_TRIES = 12;

/** How long a slot may still be held by the walsender of a process that was killed. */
export const MOVE_SLOT_BUSY_MS = 15_000;

/** How often the source is told what is durable, unless wal_sender_timeout asks for it sooner. */
export const MOVE_FEEDBACK_MS = 1_000;

/** How often what is durable in all targets is worked out for it. */
export const MOVE_CONFIRM_MS = 200;

/** How often a target without changes is told how far the stream is, so that its slot can follow. */
export const MOVE_IDLE_PROGRESS_MS = 1_000;

/** Bytes of changes that wait for one target before the stream is read on. */
export const MOVE_QUEUE_BYTES_MAX = 16 * 1024 * 1024;

/** Bytes of changes kept for all chunks that are being copied; beyond it the stream waits for one of them. */
export const MOVE_BUFFER_BYTES_MAX = 64 * 1024 * 1024;

/** Beside its values' bytes, what a change that waits is counted as. */
export const MOVE_CHANGE_OVERHEAD_BYTES = 128;

/** Changes in one transaction of a target: larger ones are hardly faster, and lost whole where it fails. */
export const MOVE_BATCH_CHANGES_MAX = 2_000;

/** Bytes of changes sent to a target before its answers are read. */
export const MOVE_PIPELINE_BYTES_MAX = 1024 * 1024;

/** Statements prepared on one connection to a target; one for each table and set of columns that updates give. */
export const MOVE_PREPARED_MAX = 2_000;

/** Rows of one chunk: half a minute's work of the slowest disks, and a few megabytes of changes meanwhile. */
export const MOVE_CHUNK_ROWS = 50_000;

/** Bytes of rows for one placement that are sent as one COPY, where a chunk goes to several of a database. */
export const MOVE_COPY_BATCH_BYTES = 256 * 1024;

/** Bytes of rows of one chunk that wait for placements; beyond it the fullest is sent. */
export const MOVE_COPY_BUFFER_BYTES_MAX = 8 * 1024 * 1024;

/** Between two looks whether a snapshot sees, or the source has flushed, what it must. */
export const MOVE_SNAPSHOT_POLL_MS = 5;

/** How long such a look may go on before the chunk gives its lock on the source up and begins anew. */
export const MOVE_SNAPSHOT_WAIT_MS = 2_000;

/** Discarded transactions whose visibility is not known yet, before the source is asked for it. */
export const MOVE_UNSEEN_MAX = 256;

/** Values left out behind a sequence of the source, beside those that sessions may hold: for direct calls of nextval, which no fence stops. */
export const SEQUENCE_MARGIN = 1_000n;

/** Groups that verification puts a table's rows into by their keys: 10 million rows are 2,500 in each. */
export const VERIFY_BUCKETS = 4096;

/** Groups that differ whose rows are read one by one; where more do, the first ones tell enough. */
export const VERIFY_BUCKETS_READ_MAX = 64;

/** Rows that differ and are named. */
export const VERIFY_DIFFERENCES_MAX = 1_000;

/** How often a difference has to be seen in a row, of the same values and each time between aligned snapshots, until it is one: a row that is written meanwhile may differ once. */
export const VERIFY_SIGHTINGS = 4;

/** Looks after which a row that differs each time, and with other values each time, is left to the fence: it is written all the time. */
export const VERIFY_SIGHTINGS_MAX = 12;

/** Bytes of moved tables whose rows are all compared once more while statements are held: about 100 ms on one core. */
export const FENCED_COMPARE_BYTES_MAX = 8 * 1024 * 1024;

/** Bytes of moved tables whose rows are at least counted there: read from memory, about 50 ms. */
export const FENCED_COUNT_BYTES_MAX = 32 * 1024 * 1024;

/** Rows, chosen at random, that are compared there of each larger table. */
export const FENCED_SAMPLE_ROWS = 100;

/** Rows of each table and side that are compared each time while a migration waits for its cutover, or after it for its end: some milliseconds of each server. */
export const VERIFY_SAMPLE_ROWS = 1_000;

/** Tables of which some rows are compared each time: the next time it is the next ones. */
export const VERIFY_SAMPLE_TABLES = 50;

/** How long that rests from one time to the next: each has the appliers wait for two snapshots, a few milliseconds. */
export const VERIFY_SAMPLE_PAUSE_MS = 5_000;

/** How long a marker may take into every target while verification holds its snapshot open. */
export const VERIFY_ALIGN_TIMEOUT_MS = 60_000;

/** Transactions the stream may lag behind the source: farther, and 32-bit ids could be mistaken. */
export const MOVE_TRANSACTION_DISTANCE_MAX = 1_000_000_000n;

/** Connections on which one group of sessions shares its reads; about as many as its server has cores, while batches stay large. */
export const SHARED_CONNECTIONS_DEFAULT = 2;

/** More would be a pool. */
export const SHARED_CONNECTIONS_MAX = 100;

/** Reads under way on one shared connection: all wait for the first. Beyond them a connection of one's own is sooner. */
export const SHARED_READS_UNDER_WAY_MAX = 64;

/** How long a shared connection is held while others might wait for one of the pool. */
export const SHARED_READS_HELD_MS_MAX = 250;

/** How long reads of a database ask for themselves after it had no connection for all: each is told, and counts, what it meets. */
export const SHARED_READS_APART_MS = 1_000;

/** Between two looks at what shared connections are answering: what two of them meet is in the way of those behind it. */
export const SHARED_READ_WATCH_MS = 50;

/** What a statement may take, on the whole, to share its connection: a hundred times a read by key, and more. */
export const SHARED_READ_SLOW_MS = 20;

/** What it may answer: a fraction of a millisecond on any network. */
export const SHARED_READ_ANSWER_BYTES = 64 * 1024;

/** For how long nothing is sent behind a statement that took more: it has a connection of its own. */
export const SHARED_READ_SLOW_FOR_MS = 10_000;

/** Bytes of a statement's parameters and text that are sent between those of others. */
export const SHARED_READ_REQUEST_BYTES_MAX = 16 * 1024;

/** Bytes of an answer that clients share which may wait for one of them. */
export const COALESCED_UNREAD_BYTES_MAX = 1024 * 1024;
