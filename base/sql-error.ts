/**
 * Every error the product itself can originate, and the error class that carries one to
 * the client. A backend's own error is relayed unchanged and is not listed here.
 */

export interface ErrorDefinition {
  /** Five characters, as in PostgreSQL's appendix A. */
  readonly sqlstate: string;
  /** When it is raised, in one sentence; printed in docs/errors.md. */
  readonly when: string;
  /** What to do about it; shown to the client unless the place that throws knows better. */
  readonly hint?: string;
}

/** The key is the only place an id is written. Ids are public, so never reused. */
export const ERRORS = {
  protocol_violation: {
    sqlstate: "08P01",
    when: "A client's message breaks the protocol; the connection is closed.",
  },
  invalid_byte_sequence: {
    sqlstate: "22021",
    when: "A string in a client's message is not valid UTF-8.",
  },
  protocol_version_not_supported: {
    sqlstate: "0A000",
    when: "A client speaks another major version of the protocol than 3.",
    hint: "Use a driver or libpq that speaks protocol version 3, as all since PostgreSQL 7.4 do.",
  },
  replication_not_supported: {
    sqlstate: "0A000",
    when: "A client asks for a replication connection.",
    hint: "Replicate from the databases behind the proxy.",
  },
  startup_user_missing: {
    sqlstate: "28000",
    when: "A client's startup packet names no user.",
  },
  tls_required: {
    sqlstate: "28000",
    when: "A client did not ask for TLS where the configuration or the password method requires it.",
    hint: "Connect with sslmode=require or stronger.",
  },
  too_many_clients: {
    sqlstate: "53300",
    when: "As many clients are connected as the configuration allows, or as many to the admin console as it takes.",
  },
  authentication_timeout: {
    sqlstate: "57014",
    when: "A client took too long from connecting to being authenticated.",
  },
  password_authentication_failed: {
    sqlstate: "28P01",
    when: "A client's user does not exist or its password is wrong; which of the two is not said.",
  },
  channel_binding_failed: {
    sqlstate: "28000",
    when: "A client's SCRAM exchange is bound to another TLS connection than its own.",
    hint: "Something between client and proxy may be intercepting the connection.",
  },
  startup_option_not_supported: {
    sqlstate: "42601",
    when: "The startup parameter `options` holds a switch that does not set a setting.",
    hint: "Only `-c name=value` and `--name=value` are understood.",
  },
  statement_not_supported: {
    sqlstate: "0A000",
    when: "The statement's kind is one the proxy does not carry over several databases.",
    hint: "Run it on the databases themselves, past the proxy.",
  },
  shard_key_updated: {
    sqlstate: "0A000",
    when: "An UPDATE, of a statement's own or in MERGE or ON CONFLICT, assigns to a shard key column what is not known to be its value.",
    hint: "Leave the column out of SET. To move a row, delete it and insert it under its new shard key.",
  },
  backend_url_invalid: {
    sqlstate: "F0000",
    when: "A database's URL in the shard map cannot be read.",
  },
  backend_unavailable: {
    sqlstate: "08001",
    when: "A database of the shard map cannot be reached: refused, timed out, unknown host.",
  },
  backend_settings_refused: {
    sqlstate: "08001",
    when: "A database refuses a default setting of the catalog database, with which every connection is opened.",
    hint: "Make the value valid on that server, or change the catalog database's default, and restart the proxy.",
  },
  backend_starting: {
    sqlstate: "57P03",
    when: "A database of the shard map is starting up, shutting down or recovering, and takes no connection yet.",
    hint: "Retry the transaction.",
  },
  backend_rejected: {
    sqlstate: "08004",
    when: "A database of the shard map refuses the user, password or database name of its URL.",
    hint: "Correct the database's URL in the shard map, or its pg_hba.conf and roles.",
  },
  backend_tls_failed: {
    sqlstate: "08001",
    when: "TLS with a database of the shard map cannot be agreed on, or its certificate is not to be trusted.",
    hint: "Compare sslmode and sslrootcert of the database's URL with the server's certificate.",
  },
  backend_too_many_connections: {
    sqlstate: "53300",
    when: "A database of the shard map has no connection slot left.",
    hint: "Lower the pool size of the proxies, or raise max_connections of the server.",
  },
  backend_protocol_violation: {
    sqlstate: "08P01",
    when: "A database of the shard map sent what no PostgreSQL server sends.",
    hint: "Check that the database's URL names a PostgreSQL server.",
  },
  backend_lost: {
    sqlstate: "57P01",
    when: "The connection to a database ended while a statement was using it.",
    hint: "Retry the transaction: nothing of it has taken effect.",
  },
  pool_exhausted: {
    sqlstate: "53300",
    when: "No connection of a database's pool came free before the deadline, or too many statements wait for one.",
    hint: "Raise the pool's size, or look for transactions that stay open; /metrics tells how many wait (colonnade_pool_waiters) and how many connections there are (colonnade_backends).",
  },
  worker_silent: {
    sqlstate: "57P03",
    when: "One of the processes that serve one address (--workers) was to be asked for the console, and does not answer.",
    hint: "Try again; a process that has ended is started anew, and the log tells why it has.",
  },
  pool_overloaded: {
    sqlstate: "53300",
    when: "So many statements wait for a connection of a database's pool, and it serves so few at a time, that this one would not be served before the deadline: it is refused at once, and nothing of it has run.",
    hint: "Retry later, with fewer clients at once; SHOW POOLS of the admin console tells how many wait, and what is served first is decided by priorities in the configuration.",
  },
  circuit_open: {
    sqlstate: "57P03",
    when: "Most of what a database was asked of late came to nothing: new transactions on it are refused at once until it answers again, and nothing of this one has run there.",
    hint: "Retry later: the server is asked every second, and serves again once it answers.",
  },
  pinned_backends_exhausted: {
    sqlstate: "53300",
    when: "A session needs a server connection of its own (temporary tables, advisory locks), and as many sessions as may have one.",
    hint: "Raise the pool's size, or end what keeps sessions pinned; /clients of the admin address tells who is and why.",
  },
  idle_session_timeout: {
    sqlstate: "57P05",
    when: "A client was idle outside a transaction for longer than its idle_session_timeout: its session is ended.",
  },
  idle_in_transaction_session_timeout: {
    sqlstate: "25P03",
    when: "A client was idle within a transaction for longer than its idle_in_transaction_session_timeout: its session is ended.",
  },
  transaction_timeout: {
    sqlstate: "25P04",
    when: "A transaction took longer than the client's transaction_timeout: its session is ended.",
  },
  pinned_backend_lost: {
    sqlstate: "57P01",
    when: "The server connection that held a session's temporary tables or advisory locks was lost: the session ends.",
    hint: "Connect again; what the session held is gone.",
  },
  pool_closed: {
    sqlstate: "57P03",
    when: "A database's pool is closing: the proxy is shutting down, or the shard map no longer names the database.",
    hint: "Retry the transaction.",
  },
  statement_too_long: {
    sqlstate: "54000",
    when: "A statement's text is longer than the proxy parses.",
    hint: "Load many rows with several statements, or bind long values as parameters.",
  },
  statement_too_complex: {
    sqlstate: "54001",
    when: "A statement's expressions are chained or nested too deep to be parsed.",
    hint: "Split the expression, or replace a chain of comparisons by IN or = ANY.",
  },
  sequence_permission_denied: {
    sqlstate: "42501",
    when: "The proxy fills a column from a sequence that the role of SET ROLE may not draw from.",
    hint: "Grant the role USAGE on the sequence.",
  },
  role_not_in_database: {
    sqlstate: "22023",
    when: "A database that a statement needs refuses the role, or another setting, that the session has.",
    hint: "Create the role, with its memberships, in every database: CREATE ROLE through the proxy does.",
  },
  setting_not_supported: {
    sqlstate: "0A000",
    when: "A SET would change how statements are read in a way the proxy does not follow.",
    hint: "Leave the setting at its default.",
  },
  explain_not_supported: {
    sqlstate: "0A000",
    when: "An EXPLAIN is about DECLARE CURSOR, CREATE TABLE AS, or an INSERT whose rows are read first and inserted then, so that there is no one plan; or an EXPLAIN ANALYZE would change what the session keeps.",
    hint: "Explain its query by itself, or use the command colonnade explain.",
  },
  insert_expression_not_supported: {
    sqlstate: "0A000",
    when: "A value of an INSERT reads tables, keeps state in a session, or means something else in each database.",
    hint: "Compute the value with a statement of its own, then insert it.",
  },
  reference_value_differs: {
    sqlstate: "0A000",
    when: "An INSERT into a reference table holds a value or default that every database would compute differently.",
    hint: "Give the value as a constant or a parameter.",
  },
  unique_key_without_shard_key: {
    sqlstate: "0A000",
    when: "A unique key of a sharded table does not contain the shard key, so that no database can enforce it.",
    hint: "Add the shard key's columns to the unique key.",
  },
  conflict_target_without_shard_key: {
    sqlstate: "0A000",
    when: "An ON CONFLICT target does not contain the shard key, so that a conflicting row may be on another placement.",
    hint: "Name a unique key that contains the shard key.",
  },
  shard_key_not_constant: {
    sqlstate: "0A000",
    when: "An INSERT gives a shard key column a value that only the server can compute.",
    hint: "Compute the value first, then send it as a parameter.",
  },
  shard_key_null: {
    sqlstate: "23502",
    when: "A row's shard key is NULL, so that it has no placement.",
    hint: "Give the key a value, and declare its column NOT NULL.",
  },
  identity_column_given: {
    sqlstate: "428C9",
    when: "An INSERT gives a value to a column that is GENERATED ALWAYS AS IDENTITY.",
    hint: "Use OVERRIDING SYSTEM VALUE to override.",
  },
  insert_query_not_supported: {
    sqlstate: "0A000",
    when: "An INSERT takes its rows from a query, or has a WITH, in a way that cannot be done over several placements.",
    hint: "Select the rows first, then insert them with VALUES.",
  },
  insert_query_too_long: {
    sqlstate: "54000",
    when: "The rows of an INSERT ... SELECT go to other placements than they come from, and are too many to be held in between.",
    hint: "Insert them in parts, each with a condition of its own.",
  },
  insert_setting_changes_values: {
    sqlstate: "0A000",
    when: "An INSERT ... SELECT reads its rows before it inserts them, under a setting by which their texts say less than their values.",
    hint: "Set DateStyle to ISO and extra_float_digits to 1 for the statement.",
  },
  insert_across_databases: {
    sqlstate: "0A000",
    when: "An INSERT names a table that is not in the database its rows go to.",
    hint: "Select the rows first, then insert them.",
  },
  shard_key_column_missing: {
    sqlstate: "42703",
    when: "A shard key column that the shard map names does not exist in the table.",
    hint: "Run colonnade check --live: the shard map and the schema disagree.",
  },
  schema_file_invalid: {
    sqlstate: "42601",
    when: "A schema file given for planning is not SQL.",
  },
  ddl_not_supported: {
    sqlstate: "0A000",
    when: "A schema change cannot be made alike in every place that has the table or object.",
    hint: "Make the change in every database that has the object, past the proxy; colonnade check --live compares the tables.",
  },
  relation_does_not_exist: {
    sqlstate: "42P01",
    when: "A schema change names a table that is not in the catalog.",
  },
  temporary_object_not_supported: {
    sqlstate: "0A000",
    when: "A statement makes something in pg_temp other than a table, view or sequence, or ties a temporary table to a table of the shard map.",
    hint: "Use an ordinary object, or a temporary table of its own.",
  },
  foreign_key_not_supported: {
    sqlstate: "0A000",
    when: "A foreign key points at a table whose rows are not in the same database as the referencing row.",
    hint: "Leave the foreign key out, or make the referenced table a reference table or one that is spread by the same shard key.",
  },
  shard_key_definition: {
    sqlstate: "42P16",
    when: "A table's definition lacks a shard key column, or gives it another type than the shard map says.",
  },
  parser_restarting: {
    sqlstate: "57P03",
    when: "Statements that overflowed the SQL parser have used up its spare instances, and new ones are being made.",
    hint: "Send the statement again.",
  },
  zero_byte_in_statement: {
    sqlstate: "22021",
    when: "A statement's text holds a zero byte, which PostgreSQL's text cannot.",
  },
  placement_columns_differ: {
    sqlstate: "55000",
    when: "Placements answer the same statement with columns of different types: their tables have drifted apart.",
    hint: "Compare the tables of the placements: colonnade check --live.",
  },
  placement_rows_unordered: {
    sqlstate: "XX000",
    when: "A placement's rows come in another order than the gather knows for their types, so they cannot be merged.",
    hint: "Compare the collations and the enum labels of the placements: colonnade check --live.",
  },
  placement_rows_miscounted: {
    sqlstate: "XX000",
    when: "A placement returns more or fewer rows than were inserted there, so they cannot be put back into the order of VALUES.",
    hint: "Run the INSERT without RETURNING, or one row at a time.",
  },
  reference_copies_differ: {
    sqlstate: "XX001",
    when: "Databases answer a write to a reference table differently: their copies of it are not the same.",
    hint: "Compare the copies of the reference table: colonnade check --live.",
  },
  gather_type_unsupported: {
    sqlstate: "0A000",
    when: "Rows of several placements would have to be ordered, grouped or combined by a type whose rules the proxy does not know.",
    hint: "Pin the shard key, or order and group by a column of another type.",
  },
  gather_collation_unsupported: {
    sqlstate: "0A000",
    when: "Rows of several placements would have to be compared by text under a collation that is not known to compare bytes.",
    hint: 'Add COLLATE "C" to the expression, or pin the shard key.',
  },
  gather_value_unreadable: {
    sqlstate: "0A000",
    when: "A value by which rows of several placements are ordered or combined is written in a style the gather does not read.",
    hint: "SET datestyle TO ISO; SET intervalstyle TO postgres; SET extra_float_digits TO 1.",
  },
  gather_database_exceeded: {
    sqlstate: "53400",
    when: "The rows that one statement gathers in temporary tables of the catalog database exceed their limit.",
    hint: "Pin the shard key, narrow the WHERE clause, or raise gather.database_bytes of the configuration.",
  },
  gather_columns_exceeded: {
    sqlstate: "54011",
    when: "The columns of a statement that is gathered in a temporary table, those that it sorts or groups by included, are more than a table may have.",
    hint: "Select fewer columns, or pin the shard key.",
  },
  read_only_transaction: {
    sqlstate: "25006",
    when: "INSERT ... SELECT has no rows to insert, in a read-only transaction.",
  },
  gather_read_only: {
    sqlstate: "25006",
    when: "In a read-only transaction, a statement needs temporary tables of the catalog database that would show another state than the transaction has seen.",
    hint: "Use a transaction that is not READ ONLY, or isolation level READ COMMITTED.",
  },
  gather_result_differs: {
    sqlstate: "0A000",
    when: "A statement that is finished over temporary tables would give columns of other types than the client was told.",
    hint: "Pin the shard key, cast the column to a type that is not a table's own, or prepare the statement again.",
  },
  gather_memory_exceeded: {
    sqlstate: "53200",
    when: "The groups, or the rows held back to keep an order, of one statement need more memory than it may have.",
    hint: "Pin the shard key, narrow the WHERE clause, or group by fewer values.",
  },
  combined_value_out_of_range: {
    sqlstate: "22003",
    when: "An aggregate over several placements leaves the range of its type, as it would on one server.",
  },
  combined_interval_out_of_range: {
    sqlstate: "22008",
    when: "A sum or average of intervals over several placements leaves the range of its type, as it would on one server.",
  },
  control_answer_too_large: {
    sqlstate: "54000",
    when: "The answer to a statement the proxy runs for itself, such as loading the catalog, exceeds its bound.",
  },
  statement_too_deep: {
    sqlstate: "54001",
    when: "A statement is nested deeper than the proxy's own tree walks go.",
    hint: "Split the expression, or replace a chain of comparisons by IN or = ANY.",
  },
  cross_database_reference: {
    sqlstate: "0A000",
    when: "A mapped table's name is qualified by a database's name.",
    hint: "Leave the database's name out.",
  },
  rules_not_supported: {
    sqlstate: "0A000",
    when: "CREATE RULE, or a table that has rewrite rules: they may read or write rows of other placements.",
    hint: "Drop the rule, and write its statements in the application.",
  },
  trigger_not_supported: {
    sqlstate: "0A000",
    when: "A write to a table with a trigger that may change the shard key, or read or write rows of other tables or placements.",
    hint: "Do it in the application, or in a CHECK constraint or a generated column; or drop or disable the trigger.",
  },
  stored_expression_not_supported: {
    sqlstate: "0A000",
    when: "A DEFAULT, CHECK or generated column calls a function that may read tables, or that answers for one database only.",
    hint: "Give the column a value in the statement, or compute it with PostgreSQL's own functions.",
  },
  row_security_not_supported: {
    sqlstate: "0A000",
    when: "A sharded table has row-level security, whose policies see the rows of one placement only.",
    hint: "Filter by the shard key in the statement, or disable row-level security of the table.",
  },
  table_not_in_map: {
    sqlstate: "0A000",
    when: "A statement names a table that the shard map does not list, and the map says `unlisted_tables: error`.",
    hint: "Add the table to the shard map, or set unlisted_tables to catalog.",
  },
  view_not_supported: {
    sqlstate: "0A000",
    when: "A statement reads a view in a way that putting the view's query into the statement cannot give: a materialized view over mapped tables, its row as one value, ONLY.",
    hint: "Write the view's query into the statement, as a sub-select or in WITH.",
  },
  view_permission_denied: {
    sqlstate: "42501",
    when: "A statement reads a view over mapped tables for which the role of the catalog database's URL has no SELECT privilege.",
    hint: "Grant the role SELECT on the view.",
  },
  view_read_as_role: {
    sqlstate: "0A000",
    when: "A statement reads a view over mapped tables after SET ROLE or SET SESSION AUTHORIZATION.",
    hint: "Read the tables behind it, or RESET ROLE before.",
  },
  view_written: {
    sqlstate: "0A000",
    when: "An INSERT, UPDATE, DELETE or MERGE writes through a view.",
    hint: "Write the table that the view reads.",
  },
  placement_table_named: {
    sqlstate: "0A000",
    when: "A statement names a mapped table in the schema of one of its placements.",
    hint: "Name the table in the schema that the shard map's tables are in: the proxy finds its rows by the shard key.",
  },
  partition_named: {
    sqlstate: "0A000",
    when: "A statement names a partition or child table that the shard map does not list.",
    hint: "Name its parent table, or list the partition in the shard map.",
  },

  // Transactions, the session and execution.
  statement_stopped: {
    sqlstate: "57014",
    when: "One placement of a statement failed or has given enough, so the others were stopped. Never seen by a client.",
  },
  transaction_in_doubt: {
    sqlstate: "08007",
    when: "The answer to COMMIT, or to a write that commits by itself, was lost: it may have taken effect or not.",
    hint: "Read back what the transaction wrote before doing it again.",
  },
  transaction_aborted: {
    sqlstate: "40000",
    when: "A database had rolled back its part of the transaction before COMMIT reached it.",
    hint: "Retry the transaction.",
  },
  snapshot_over_databases: {
    sqlstate: "0A000",
    when: "A transaction at REPEATABLE READ or SERIALIZABLE uses tables of a second database, which has a snapshot of its own. (A SELECT without tables, as the first statement, has taken that of the catalog database.)",
    hint: "Use READ COMMITTED, or keep the transaction to rows of one shard key, and read reference tables, and SELECT without tables, after them.",
  },
  mode_after_savepoint: {
    sqlstate: "25001",
    when: "SET TRANSACTION changes, after a savepoint, what only the whole transaction may: its isolation level, READ ONLY to READ WRITE, or DEFERRABLE.",
  },
  read_only_after_writes: {
    sqlstate: "0A000",
    when: "A transaction that has written to several databases is made READ ONLY: its commit has a row to write.",
    hint: "Commit first, and read in a transaction of its own.",
  },
  savepoint_unknown: {
    sqlstate: "3B001",
    when: "RELEASE or ROLLBACK TO names a savepoint that is not there.",
  },
  no_transaction: {
    sqlstate: "25P01",
    when: "A statement that needs a transaction block was sent outside of one.",
  },
  not_in_transaction_block: {
    sqlstate: "25001",
    when: "A statement that commits by itself was sent inside a transaction block. (ANALYZE without a table's name does here, and does not in PostgreSQL.)",
  },
  transaction_block_required: {
    sqlstate: "25P01",
    when: "A statement that only means something until its transaction ends was sent outside a transaction block.",
  },
  transaction_failed: {
    sqlstate: "25P02",
    when: "The transaction has failed; only ROLLBACK is possible.",
  },
  prepared_transactions_disabled: {
    sqlstate: "55000",
    when: "A transaction wrote to several databases and one of them cannot prepare transactions.",
    hint: "Set max_prepared_transactions on every server to at least as many as transactions over several databases may run at once, for example the pools' sizes together, and restart it.",
  },
  notifications_lost: {
    sqlstate: "57P01",
    when: "A client listens for notifications when the proxy's connection to the catalog database is lost: what is sent until it is there again is lost to everybody. The session ends after its statement.",
    hint: "Connect again, LISTEN, and look for what may have been missed.",
  },
  notifications_unread: {
    sqlstate: "54000",
    when: "A client that listens for notifications does not read them, or stays in a transaction while more come than the proxy keeps; the client is sent away.",
    hint: "Read notifications as they come, and LISTEN on a connection that has no long transactions.",
  },
  too_many_channels: {
    sqlstate: "54000",
    when: "A client listens to more channels than the proxy keeps for one.",
    hint: "Use few channels, and tell what happened in the payload.",
  },
  client_encoding_not_supported: {
    sqlstate: "0A000",
    when: "The client asks for a client_encoding other than UTF8 or SQL_ASCII.",
    hint: "Set client_encoding to UTF8.",
  },
  escaping_strings_not_supported: {
    sqlstate: "0A000",
    when: "The client turns standard_conforming_strings off, which changes how literals are read.",
    hint: "Write E'...' where a backslash is an escape.",
  },
  several_statements_prepared: {
    sqlstate: "42601",
    when: "A Parse message holds several statements.",
  },
  bind_mismatch: {
    sqlstate: "08P01",
    when: "A Bind message's parameters or formats do not fit its statement.",
  },
  portal_not_runnable: {
    sqlstate: "55000",
    when: "A portal that has run to its end, or a cursor that has failed, is executed again.",
  },
  portal_exists: {
    sqlstate: "42P03",
    when: "A Bind message or DECLARE names a portal or cursor that is open.",
  },
  cursor_unknown: { sqlstate: "34000", when: "A statement names a cursor that is not there." },
  cursor_forward_only: {
    sqlstate: "55000",
    when: "A cursor over several placements that was not declared with SCROLL is to go back.",
    hint: "Declare it with SCROLL option to enable backward scan.",
  },
  cursor_format_fixed: {
    sqlstate: "0A000",
    when: "Rows of one cursor over several placements are fetched in text and in binary format, or were read in one before they are asked for in the other.",
    hint: "Fetch all rows of the cursor in one format; DECLARE with the same (BINARY, in the simple protocol).",
  },
  cursor_settings_changed: {
    sqlstate: "0A000",
    when: "Rows of a cursor that the proxy has read ahead, or keeps, are fetched under another DateStyle, TimeZone, search_path or the like than they were read under.",
    hint: "Set it back, or declare the cursor after SET.",
  },
  cursor_rows_too_large: {
    sqlstate: "53200",
    when: "The rows that a client's cursors keep in the proxy (SCROLL, WITH HOLD, and row locks or gathered rows of several placements) exceed their limit.",
    hint: "Declare the cursor with NO SCROLL and WITHOUT HOLD, or read fewer rows.",
  },
  cursor_not_supported: {
    sqlstate: "0A000",
    when: "A portal of Bind is used as a cursor by FETCH, MOVE or WHERE CURRENT OF, or a cursor is declared over what is the session's own (setval, nextval, currval, advisory locks).",
    hint: "Declare a cursor with DECLARE; send a query of the session's state by itself.",
  },
  portal_unknown: { sqlstate: "34000", when: "A message names a portal that is not there." },
  settings_too_long: {
    sqlstate: "54000",
    when: "The settings of one session are too long to be kept and sent to each backend.",
    hint: "Set fewer or shorter values, or reset what is not used any more.",
  },
  session_defaults_too_long: {
    sqlstate: "54000",
    when: "The catalog database's default settings do not fit into the startup packet of each connection.",
    hint: "ALTER ROLE ... RESET or ALTER DATABASE ... RESET custom settings that are not used.",
  },
  too_many_savepoints: { sqlstate: "54000", when: "One transaction holds too many savepoints." },
  message_malformed: {
    sqlstate: "08P01",
    when: "The inside of a message is not as the protocol says.",
  },
  format_code_unsupported: {
    sqlstate: "22023",
    when: "A Bind message gives a format code other than 0, for text, and 1, for binary.",
  },
  too_many_portals: { sqlstate: "54000", when: "One transaction holds too many portals." },
  portal_too_large: {
    sqlstate: "53200",
    when: "The rows that wait in a portal with a row limit exceed their limit.",
    hint: "Read the rows without a row limit (fetch size), or fewer of them.",
  },
  prepared_statement_exists: {
    sqlstate: "42P05",
    when: "A Parse message names a prepared statement that is there.",
  },
  prepared_statement_unknown: {
    sqlstate: "26000",
    when: "A message names a prepared statement that is not there.",
  },
  too_many_prepared_statements: {
    sqlstate: "54000",
    when: "One connection holds too many prepared statements.",
    hint: "Close statements that are not used any more.",
  },
  coalesced_answer_unread: {
    sqlstate: "53400",
    when: "A client that shares the answer of a coalesced read does not read it, and the others cannot wait.",
    hint: "Read answers as they come, or leave the table out of `coalesce_reads`.",
  },
  query_canceled: {
    sqlstate: "57014",
    when: "The client canceled a statement while it waited for a backend.",
  },
  deadlock_detected: {
    sqlstate: "40P01",
    when: "Transactions wait for each other in a circle over several databases, which no single server sees; the youngest is stopped.",
    hint: "Retry the transaction; lock rows in the same order everywhere.",
  },
  proxy_shutdown: { sqlstate: "57P01", when: "The proxy is stopping." },
  system_catalog_written: {
    sqlstate: "0A000",
    when: "UPDATE or DELETE of a system catalog, such as pg_settings.",
    hint: "Use SET for a setting, and DDL for everything else.",
  },
  session_view: {
    sqlstate: "0A000",
    when: "A statement reads a system view of one backend's own state, such as pg_prepared_statements.",
    hint: "Keep account of prepared statements and cursors in the application.",
  },
  map_version_lower: {
    sqlstate: "F0000",
    when: "A shard map with a lower version than the one in use is to be loaded.",
    hint: "Raise the version with every change of the map.",
  },
  control_schema_missing: {
    sqlstate: "3F000",
    when: "A command or a proxy is pointed at a database without a control schema.",
    hint: "If it is the catalog database, make it there: colonnade control init --control URL. If not, correct --control.",
  },
  control_schema_old: {
    sqlstate: "55000",
    when: "The control schema was made by an older version of the program.",
    hint: "Bring it up to date: colonnade control upgrade --control URL.",
  },
  control_schema_new: {
    sqlstate: "55000",
    when: "The control schema was made by a newer version of the program.",
    hint: "Use the program's version that made it, or a newer one.",
  },
  control_unreachable: {
    sqlstate: "08006",
    when: "RELOAD of a proxy that follows a control schema, which cannot be asked for the shard map now; the old map stays.",
    hint: "RELOAD again once the control schema's database answers; until then the proxy goes on with the map in force.",
  },
  map_version_taken: {
    sqlstate: "40001",
    when: "A shard map is published over another one than it was made from: somebody else has published meanwhile.",
    hint: "Look at what has changed (colonnade map history), and make the change again on top of it.",
  },
  published_map_unreadable: {
    sqlstate: "F0000",
    when: "A published shard map has mistakes in the eyes of this program's version.",
    hint: "Use the version of the program that published it, or publish a map that this one reads.",
  },
  map_version_unknown: {
    sqlstate: "42704",
    when: "A version of the shard map is asked for that was never published.",
    hint: "The command colonnade map history lists the versions.",
  },
  schema_reserved: {
    sqlstate: "42501",
    when: "A statement names the schema `colonnade`, in which the proxy keeps records of its own.",
    hint: "Connect to the database itself, or leave the schema out: pg_dump --exclude-schema=colonnade.",
  },
  map_leaves_rows: {
    sqlstate: "F0000",
    when: "A shard map is to be loaded under which rows that exist would be looked for elsewhere.",
    hint: "A map does not move rows: copy them while nothing writes, then start the proxy with the new map.",
  },
  cached_plan_changed: {
    sqlstate: "0A000",
    when: "A prepared statement's columns are others than they were when it was prepared: its tables have changed.",
    hint: "Prepare the statement again.",
  },
  statement_not_understood: {
    sqlstate: "0A000",
    when: "A server accepts a statement that the proxy's grammar, PostgreSQL 18's, rejects, or that writes to a table the proxy does not know yet.",
    hint: "Where the table was made past the proxy, or by a function, send the statement again once that has committed.",
  },
  type_not_translatable: {
    sqlstate: "42704",
    when: "A value's type is not known in the database it is sent to or comes from.",
    hint: "Create the type in every database, through the proxy; colonnade check --live compares them.",
  },
  row_locks_scattered: {
    sqlstate: "0A000",
    when: "FOR UPDATE or FOR SHARE with LIMIT or in a sub-select, in a statement over several placements.",
    hint: "Pin the shard key, or lock the rows without a LIMIT.",
  },
  current_of_not_supported: {
    sqlstate: "0A000",
    when: "WHERE CURRENT OF a cursor that reads several placements, a cursor that the proxy keeps, or of a reference table.",
    hint: "Name the row by its primary key.",
  },
  server_state_scattered: {
    sqlstate: "0A000",
    when: "A statement over sharded tables asks for the state of one server (its database's name, its processes, its transaction ids), or any statement for the size of a table whose rows are in several databases.",
    hint: "Ask for it in a statement of its own.",
  },
  transaction_function_gathered: {
    sqlstate: "0A000",
    when: "A statement whose rows are gathered in temporary tables asks for the modes of its transaction or for the schemas that are searched: the tables are in a transaction and a schema of their own.",
    hint: "Ask for it in a SELECT of its own.",
  },
  expression_not_supported: {
    sqlstate: "0A000",
    when: "An expression of a kind the proxy does not know, in a statement over several placements.",
    hint: "Pin the shard key.",
  },
  outer_aggregate_scattered: {
    sqlstate: "0A000",
    when: "An aggregate inside a sub-select that belongs to an outer query level, over several placements.",
    hint: "Move the aggregate to the level it belongs to, or pin the shard key.",
  },
  system_column_not_supported: {
    sqlstate: "0A000",
    when: "A system column (ctid, xmin, tableoid, ...) of a sharded table, which means something else in each placement.",
    hint: "Use the primary key instead.",
  },
  object_identifier_scattered: {
    sqlstate: "0A000",
    when: "A cast to regclass or another object identifier type, over several placements: each database has its own OIDs.",
    hint: "Use the object's name as text.",
  },
  function_reads_tables: {
    sqlstate: "0A000",
    when: "A function or operator that may read tables: it would see the rows of one database only.",
    hint: "Declare the function IMMUTABLE if it reads no table, or write its query into the statement.",
  },
  select_into_not_supported: {
    sqlstate: "0A000",
    when: "SELECT ... INTO.",
    hint: "Use CREATE TABLE, then INSERT.",
  },
  tablesample_not_supported: {
    sqlstate: "0A000",
    when: "TABLESAMPLE on a sharded table.",
    hint: "Filter by random() instead.",
  },
  whole_row_scattered: {
    sqlstate: "0A000",
    when: "A sharded table's row type is named, or a row stands for a value, where copies of the table's rows of several placements are read: a copy has a row type of its own.",
    hint: "Name the columns that are needed, or pin the shard key.",
  },
  only_scattered: {
    sqlstate: "0A000",
    when: "FROM ONLY of a sharded table where copies of its rows of several placements are read: a copy has no children.",
    hint: "Leave out ONLY, or pin the shard key.",
  },
  join_not_colocated: {
    sqlstate: "0A000",
    when: "Sharded tables of one colocation are not joined on their shard keys, so rows of different placements would meet.",
    hint: "Join the tables on their shard keys, or pin them to one shard key.",
  },
  join_across_colocations: {
    sqlstate: "0A000",
    when: "Sharded tables of different colocations are joined.",
    hint: "Pin the tables to shard keys that lie in one placement, or join them in the application.",
  },
  set_operation_scattered: {
    sqlstate: "0A000",
    when: "UNION, INTERSECT or EXCEPT of rows of several placements.",
    hint: "Pin the shard key in every arm, or combine the results in the application.",
  },
  data_modifying_with_scattered: {
    sqlstate: "0A000",
    when: "A WITH query that writes, over several placements.",
    hint: "Pin the shard key in every part, or use statements of their own in one transaction.",
  },
  full_join_scattered: {
    sqlstate: "0A000",
    when: "A FULL JOIN over several placements whose sides are not both spread by the shard key that it joins on, in a statement that cannot run over copies of its tables.",
    hint: "Join on the shard keys of both sides, pin the shard key, or use LEFT JOIN.",
  },
  outer_join_repeats_rows: {
    sqlstate: "0A000",
    when: "An outer join that keeps the rows of a reference table, or of a sub-select without sharded tables, whose other side is sharded.",
    hint: "Pin the shard key, or turn the join around so that the sharded table is the side that is kept.",
  },
  subquery_scattered: {
    sqlstate: "0A000",
    when: "A sub-select over a sharded table that would be evaluated on a part of its rows.",
    hint: "Tie it to the outer query by the shard key, or pin the shard key in both.",
  },
  subquery_limit_scattered: {
    sqlstate: "0A000",
    when: "LIMIT in a sub-select over several placements.",
    hint: "Pin the shard key, or move the LIMIT to the outermost query.",
  },
  subquery_aggregate_scattered: {
    sqlstate: "0A000",
    when: "Aggregates or GROUP BY in a sub-select over several placements, not grouped by the shard key.",
    hint: "Add the shard key to its GROUP BY, or pin the shard key.",
  },
  subquery_distinct_scattered: {
    sqlstate: "0A000",
    when: "DISTINCT in a sub-select over several placements, without the shard key.",
    hint: "Add the shard key to its select list, or pin the shard key.",
  },
  window_scattered: {
    sqlstate: "0A000",
    when: "A window function over several placements, not partitioned by the shard key.",
    hint: "Add the shard key to its PARTITION BY, or pin the shard key.",
  },
  function_writes_scattered: {
    sqlstate: "0A000",
    when: "A function that may write, in a SELECT whose rows of several placements are gathered in a database.",
    hint: "Call the function in a statement of its own, or pin the shard key.",
  },
  grouping_sets_scattered: {
    sqlstate: "0A000",
    when: "GROUPING SETS, ROLLUP or CUBE over several placements.",
    hint: "Pin the shard key, or group in separate statements.",
  },
  aggregate_not_combinable: {
    sqlstate: "0A000",
    when: "An aggregate that cannot be put together from the placements' partial results.",
    hint: "Group by the shard key, or pin it.",
  },
  aggregate_expression_scattered: {
    sqlstate: "0A000",
    when: "An output of a grouped query over several placements that is neither a grouping expression nor one aggregate.",
    hint: "Select the aggregates by themselves and compute with them in the application, or pin the shard key.",
  },
  limit_expression_scattered: {
    sqlstate: "0A000",
    when: "LIMIT or OFFSET over several placements that is neither a constant nor a parameter.",
    hint: "Compute the value and pass it as a parameter.",
  },
  select_list_unknown: {
    sqlstate: "0A000",
    when: "The columns of a select list over several placements cannot be worked out.",
    hint: "Name the columns instead of *, or pin the shard key.",
  },
  synthesized_statement_differs: {
    sqlstate: "0A000",
    when: "A statement written for the placements does not read back as it was meant.",
    hint: "Pin the shard key, or write the statement in a simpler way.",
  },
  temporary_name_taken: {
    sqlstate: "42P07",
    when: "Rows of a sharded table are to be gathered beside a temporary table of the same name.",
    hint: "Give the temporary table another name.",
  },
  tables_in_different_databases: {
    sqlstate: "0A000",
    when: "A statement joins tables that live in different databases, or writes to sharded tables by what a temporary table holds.",
    hint: "Query each table by itself and join in the application, or move the tables together in the shard map.",
  },
  system_catalog_joined: {
    sqlstate: "0A000",
    when: "A statement joins system catalogs with sharded tables, or with tables of another database than the catalog's.",
    hint: "Query the catalogs in a statement of their own.",
  },
  reference_write_mixed: {
    sqlstate: "0A000",
    when: "A statement writes a reference table and uses tables that not every database has.",
    hint: "Read the other tables first, and write with the values read.",
  },
  reference_write_not_deterministic: {
    sqlstate: "0A000",
    when: "A write to a reference table whose result could differ between databases.",
    hint: "Compute the values first, and write them as constants or parameters.",
  },
  sequence_value_undefined: {
    sqlstate: "55000",
    when: "currval() or lastval() of a sequence that the session has drawn nothing from.",
  },
  sequence_value_unknown: {
    sqlstate: "0A000",
    when: "currval() or lastval() after a statement for which a database may have drawn values by itself.",
    hint: "Read the value with RETURNING in the INSERT that draws it.",
  },
  session_state_function: {
    sqlstate: "0A000",
    when: "A function about the session's own state, which a pooled connection does not keep.",
    hint: "Call the function on a connection to the database it is about, past the proxy.",
  },
  catalog_state_function: {
    sqlstate: "0A000",
    when: "A function about the catalog database's own state (sequences, advisory locks, large objects) in a statement that runs elsewhere.",
    hint: "Call the function in a statement of its own.",
  },
  merge_not_supported: {
    sqlstate: "0A000",
    when: "MERGE into a sharded table whose rows may meet or be inserted beside those of another placement, or whose columns the proxy would have to fill.",
    hint: "Compare the shard keys of both sides in ON and insert the source's, or use INSERT ... ON CONFLICT, UPDATE and DELETE.",
  },
  statement_spans_placements: {
    sqlstate: "0A000",
    when: "The keys of a statement that needs one placement lie in several.",
    hint: "Use one statement for each key.",
  },
  shard_key_not_proven: {
    sqlstate: "0A000",
    when: "A statement that needs one placement pins the shard key to a value that the proxy cannot read as PostgreSQL would.",
    hint: "Pass the key as a literal or parameter of the key's own type, in its plainest spelling.",
  },
  limit_negative: {
    sqlstate: "2201W",
    when: "LIMIT is negative.",
  },
  offset_negative: {
    sqlstate: "2201X",
    when: "OFFSET is negative.",
  },
  limit_not_readable: {
    sqlstate: "22P02",
    when: "The parameter of LIMIT or OFFSET is not an integer the proxy reads.",
    hint: "Pass it as a bigint or integer.",
  },
  shard_key_not_covered: {
    sqlstate: "0A000",
    when: "A shard key's value lies in no range or list entry of the shard map, or its colocation is gone from the map.",
    hint: "Add an entry for the value to the shard map.",
  },
  execute_argument_count: {
    sqlstate: "42601",
    when: "EXECUTE gives another number of arguments than the prepared statement has parameters.",
  },
  execute_argument_not_supported: {
    sqlstate: "0A000",
    when: "An argument of EXECUTE reads the clock, tables or the state of a session or a server: it is read before the statement, and not in its transaction.",
    hint: "Give it as a constant, or write it in the statement that is prepared.",
  },
  comparison_redefined: {
    sqlstate: "0A000",
    when: "An operator of a user's compares built-in types: a condition on a shard key may mean something else than it says.",
    hint: "Drop the operator, or give it another name or types of its own.",
  },
  volatile_subquery_scattered: {
    sqlstate: "0A000",
    when: "A sub-select that reads no sharded table calls a function whose result changes from call to call, in a statement for several placements: PostgreSQL evaluates it once.",
    hint: "Evaluate it in a statement of its own and pass the value, or pin the shard key.",
  },
  subquery_order_scattered: {
    sqlstate: "0A000",
    when: "A sub-select is ordered, and what reads its rows over several placements is not.",
    hint: "Move the ORDER BY to the outermost query.",
  },
  copy_failed_by_client: {
    sqlstate: "57014",
    when: "The client gave up a COPY that it was sending data for.",
  },
  client_lost: {
    sqlstate: "08006",
    when: "The client went away in the middle of a COPY: nothing of it was kept.",
  },
  copy_server_file: {
    sqlstate: "0A000",
    when: "COPY names a file or a program of the server: a client of the proxy has no server of its own.",
    hint: "Use COPY ... FROM STDIN and TO STDOUT; psql's \\copy does.",
  },
  copy_option_not_supported: {
    sqlstate: "0A000",
    when: "An option of COPY under which the proxy could not tell rows and keys as the server does: ON_ERROR ignore with its REJECT_LIMIT, an ENCODING other than UTF-8; or one that could stand for a value that the proxy fills in.",
    hint: "Leave the option out.",
  },
  copy_of_several_placements: {
    sqlstate: "0A000",
    when: "COPY ... TO of an INSERT into a sharded table, of a write to a reference table, or of a call about the session.",
    hint: "Send the statement by itself, with RETURNING.",
  },
  copy_column_unknown: {
    sqlstate: "42703",
    when: "The column list of a COPY names a column that the table has not.",
  },
  copy_column_repeated: {
    sqlstate: "42701",
    when: "The column list of a COPY names a column twice.",
  },
  copy_column_generated: {
    sqlstate: "42P10",
    when: "The column list of a COPY names a generated column.",
  },
  copy_row_too_large: {
    sqlstate: "54000",
    when: "A row of a COPY is longer than the proxy holds.",
  },
  copy_value_out_of_range: {
    sqlstate: "22003",
    when: "A sequence gave a value that its column's type does not hold.",
  },
  copy_data_malformed: {
    sqlstate: "22P04",
    when: "The data of a COPY is not rows of its format.",
  },
  console_user_refused: {
    sqlstate: "28000",
    when: "A user whom the configuration does not name connects to the database `colonnade`, which is the admin console.",
    hint: "Name the user in console.admin_users or console.stats_users of the configuration. Any other database name reaches the tables.",
  },
  console_admin_required: {
    sqlstate: "42501",
    when: "A user of `console.stats_users` gives the admin console a command that changes something, or asks for statements' texts.",
    hint: "Connect as a user of console.admin_users.",
  },
  console_command_unknown: {
    sqlstate: "42601",
    when: "The admin console cannot read a command.",
    hint: "SHOW HELP lists the commands.",
  },
  console_not_supported: {
    sqlstate: "0A000",
    when: "The admin console is asked for what only a database has: parameters, COPY, function calls, other encodings.",
    hint: "Give the console its commands alone, which SHOW HELP lists; tables are reached by any other database name.",
  },
  console_object_unknown: {
    sqlstate: "42704",
    when: "A command of the admin console names a client or database that does not exist.",
    hint: "SHOW CLIENTS and SHOW DATABASES list them.",
  },
  console_statements_exceeded: {
    sqlstate: "54000",
    when: "A connection to the admin console holds more prepared statements or portals, or sends a longer query, than it may.",
  },
  database_paused: {
    sqlstate: "57P03",
    when: "A database was paused by the admin console, and a transaction has waited for it as long as it may, or too many wait.",
    hint: "Retry the transaction once RESUME was given.",
  },
  statement_held_too_long: {
    sqlstate: "57P03",
    when: "A statement was held back while its placement was cut over, until as long as it may, or until too many or too large ones were held back after it.",
    hint: "Retry the transaction: nothing of this statement has taken effect.",
  },
  placement_lease_lost: {
    sqlstate: "57P03",
    when: "A placement is being moved, and the proxy has not reached the control schema for as long as it may serve such a placement; or the transaction began before that.",
    hint: "Retry the transaction, on another proxy if this goes on. Operators: colonnade control status tells which proxies reach the control schema.",
  },
  map_changed: {
    sqlstate: "40001",
    when: "The shard map changed after a statement was planned, and the statement could not be planned again in its place.",
    hint: "Retry the transaction.",
  },
  ddl_of_old_map: {
    sqlstate: "40001",
    when: "The shard map changed between a transaction's DDL and its COMMIT: what it has made may belong elsewhere. It is rolled back.",
    hint: "Retry the transaction.",
  },
  table_unconfirmed: {
    sqlstate: "55000",
    when: "A table has appeared in the catalog database since the proxy could last ask the control schema: a newer shard map may place its rows elsewhere.",
    hint: "Use it once the proxy follows the control schema again (colonnade control status), or through a proxy that does.",
  },
  ddl_unconfirmed: {
    sqlstate: "55000",
    when: "A transaction with DDL commits in a proxy of a fleet that cannot ask the control schema whether the shard map is still the one it was planned for, or cannot have the other proxies told of the change before it is there.",
    hint: "Retry it once the proxy follows the control schema again (colonnade control status), or through a proxy that does.",
  },
  catalog_unconfirmed: {
    sqlstate: "57P03",
    when: "Another proxy of the fleet commits DDL, or may do so, and the catalog database, which knows, does not answer, or cannot be read since other DDL has it locked.",
    hint: "Retry the transaction: nothing of this statement has taken effect.",
  },
  snapshot_before_map_change: {
    sqlstate: "40001",
    when: "A transaction of isolation level repeatable read or serializable was held back while the shard map changed: what it has read so far is of the old places.",
    hint: "Retry the transaction.",
  },
  hold_taken: {
    sqlstate: "55006",
    when: "A hold is asked for, and another one of its name, or of one of its placements, is not over.",
    hint: "Wait until it is over: a hold ends by itself at its deadline.",
  },
  hold_over: {
    sqlstate: "55000",
    when: "A hold was ended, by who asked for it or at its deadline, before what it was for was done.",
    hint: "Ask for it again: nothing was changed.",
  },
  hold_not_possible: {
    sqlstate: "55006",
    when: "A proxy of the fleet neither obeys a hold nor is known to refuse the placements by itself.",
    hint: "Mend what the proxy tells of, or stop it: colonnade control status shows which ones follow.",
  },
  hold_malformed: {
    sqlstate: "22023",
    when: "A hold is asked for without a placement, for a placement that the shard map does not have, or for a time that is too long.",
  },
  pause_timeout: {
    sqlstate: "55000",
    when: "PAUSE has waited for running transactions as long as it may; nothing is paused.",
    hint: "SHOW CLIENTS tells who uses the database; KILL ends a client.",
  },
  reload_refused: {
    sqlstate: "F0000",
    when: "RELOAD: the shard map cannot be read or has mistakes; the old one stays.",
    hint: "The command colonnade check tells every mistake of the file.",
  },
  client_killed: {
    sqlstate: "57P01",
    when: "The admin console has killed the client.",
  },
  migration_row_unroutable: {
    sqlstate: "55000",
    when: "A row that a migration moves has a shard key that no logical shard of the next map holds, or none at all.",
    hint: "Give the row a shard key, or give the key a shard in the map; then resume the migration.",
  },
  migration_foreign_write: {
    sqlstate: "55000",
    when: "Somebody has written past a migration's fence, as a session of a replica may: to a target's tables before the cutover, which is not taken to the source, or to a source's in the middle of one, which is given up.",
    hint: "Find who writes there. Of a target, compare anew with colonnade migrate resync, or cancel the migration; of a source, resume it.",
  },
  migration_reference_missing: {
    sqlstate: "23503",
    when: "A foreign key cannot be made in a migration's target: a row that others refer to is missing there, and every stream has been current since.",
    hint: "Look for the row in its source. Where it is there, the target has lost it: colonnade migrate resync brings it again. Where it is not, correct the source, then colonnade migrate resume.",
  },
  migration_row_mismatch: {
    sqlstate: "XX001",
    when: "A change of the source found not exactly one row in the target: somebody else wrote there, or rows are damaged. Nothing is skipped.",
    hint: "Find who writes to the target's tables. Then cancel the migration and start it anew, or repair the row and resume.",
  },
  migration_copy_mismatch: {
    sqlstate: "XX001",
    when: "Rows that were just copied are not in the target what they are in the source: something there changes or swallows them, such as a trigger that fires always, or a disk is damaged. They are not kept.",
    hint: "Look at the triggers and rules of the target's table, and correct it; then colonnade migrate resume copies the rows again.",
  },
  migration_value_missing: {
    sqlstate: "55000",
    when: "An update moved a row to where its large values, which it did not change and the stream does not repeat, are not yet.",
    hint: "ALTER TABLE ... REPLICA IDENTITY FULL on the source's table, cancel the migration, and start it anew.",
  },
  migration_old_row_missing: {
    sqlstate: "55000",
    when: "The stream names a changed row without its identity or its shard key.",
    hint: "Give the table a primary key with the shard key in it, or ALTER TABLE ... REPLICA IDENTITY FULL; then start the migration anew.",
  },
  migration_truncate_refused: {
    sqlstate: "0A000",
    when: "A table was truncated of which only some rows move, or whose target holds rows of other tables too.",
    hint: "Cancel the migration, and start it anew.",
  },
  migration_schema_changed: {
    sqlstate: "55000",
    when: "A table that a migration moves is no longer as it was when the migration was set up.",
    hint: "Undo the change and resume, or cancel the migration and start it anew.",
  },
  migration_table_unsupported: {
    sqlstate: "0A000",
    when: "A table that is to be moved is missing, unlogged, without a primary key, or otherwise cannot be streamed.",
    hint: "Change the table as the message says, or leave it out of the move.",
  },
  migration_epoch_lost: {
    sqlstate: "55000",
    when: "Another orchestrator has taken the migration over; this one may not write any more.",
    hint: "Look at the other one: SELECT * FROM colonnade.move_progress in the target tells its epoch.",
  },
  migration_exists: {
    sqlstate: "42710",
    when: "A migration is to be stored under a name that another one has, be it over or not.",
    hint: "Plan again: names of migrations that exist are left out.",
  },
  migration_unknown: {
    sqlstate: "42704",
    when: "A command names a migration that the control schema does not have.",
    hint: "List them with colonnade migrate list.",
  },
  migration_objects_claimed: {
    sqlstate: "55006",
    when: "A migration is to begin that moves a table which another one is moving.",
    hint: "Wait until the other one is completed or cancelled.",
  },
  migration_slot_lost: {
    sqlstate: "55000",
    when: "The replication slot of a migration is gone or invalid, so changes of the source may be lost to it.",
    hint: "Cancel the migration and start it anew; raise max_slot_wal_keep_size where the slot was invalidated.",
  },
  migration_slot_blocked: {
    sqlstate: "55P03",
    when: "Transactions that write on the source do not end, so that no replication slot can be made.",
    hint: "End them, or wait until they have ended, and try again.",
  },
} as const satisfies Readonly<Record<string, ErrorDefinition>>;

export type ErrorId = keyof typeof ERRORS;

export interface SqlErrorDetails {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** One-based, in characters of the statement's text. */
  readonly position?: number | undefined;
  /** What was being done, as PostgreSQL's CONTEXT says: `COPY users, line 3`. */
  readonly context?: string | undefined;
  readonly cause?: unknown;
}

/** An error the client reads as an ErrorResponse; worded as PostgreSQL words its own. */
export class SqlError extends Error {
  override readonly name = "SqlError";
  readonly id: ErrorId;
  readonly sqlstate: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly position: number | undefined;
  readonly context: string | undefined;

  constructor(id: ErrorId, message: string, more: SqlErrorDetails = {}) {
    super(message, { cause: more.cause });
    const definition: ErrorDefinition = ERRORS[id];
    this.id = id;
    this.sqlstate = definition.sqlstate;
    this.detail = more.detail;
    this.hint = more.hint ?? definition.hint;
    this.position = more.position;
    this.context = more.context;
  }
}

/** What a peer broke on the wire. The connection cannot go on. */
export class ProtocolViolation extends Error {
  override readonly name = "ProtocolViolation";
}
