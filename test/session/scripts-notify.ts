/** LISTEN, UNLISTEN and NOTIFY, put to PostgreSQL and to the proxy; one client, which hears itself. */
import type { Case } from "./comparing.ts";
import { bind, execute, parse, query, run, sync } from "./conversation.ts";

const LONG = `"A ${"é".repeat(40)}"`;
const CUT = `"A ${"é".repeat(30)}"`;

export const NOTIFY: Readonly<Record<string, Case>> = {
  "names that are longer than PostgreSQL keeps": {
    script: [
      query(`LISTEN ${LONG}`),
      query("SELECT pg_listening_channels()"),
      query(`NOTIFY ${CUT}, 'cut'`),
      query(`LISTEN ${"Name".repeat(20)}`),
      query(`UNLISTEN ${LONG}`),
      query("SELECT pg_listening_channels()"),
      query(`PREPARE ${"p".repeat(64)} AS SELECT 1`),
      query(`EXECUTE ${"p".repeat(63)}`),
      query(`DEALLOCATE ${"p".repeat(64)}`),
      query("BEGIN"),
      query(`SAVEPOINT ${LONG}`),
      query(`ROLLBACK TO ${CUT}`),
      query("SET LOCAL client_min_messages = warning"),
      query(`RELEASE ${LONG}`),
      query("COMMIT"),
      query(`LISTEN ${"x".repeat(63)} -- ${LONG}`),
    ],
  },
  "who listens hears itself, once it has committed": {
    script: [
      query("LISTEN news"),
      query("NOTIFY news"),
      query("NOTIFY news, 'a payload, it''s long'"),
      query("SELECT pg_notify('news', 'by function')"),
      query("NOTIFY other"),
      query("UNLISTEN news"),
      query("NOTIFY news"),
    ],
  },
  "inside a transaction nothing comes, after it everything": {
    script: [
      query("LISTEN news"),
      query("BEGIN"),
      query("NOTIFY news, '1'"),
      query("SELECT count(*) FROM accounts"),
      query("NOTIFY news, '2'"),
      query("NOTIFY news, '1'"),
      query("COMMIT"),
      query("BEGIN; NOTIFY news, '3'; ROLLBACK"),
      query("SELECT 1"),
    ],
  },
  "LISTEN takes effect at the commit": {
    script: [
      query("BEGIN"),
      query("LISTEN news"),
      query("NOTIFY news, 'its own'"),
      query("COMMIT"),
      query("BEGIN; LISTEN lost; ROLLBACK"),
      query("NOTIFY lost"),
      query("BEGIN"),
      query("UNLISTEN *"),
      query("NOTIFY news, 'too late'"),
      query("COMMIT"),
      query("NOTIFY news"),
    ],
  },
  "UNLISTEN that is rolled back": {
    script: [
      query("LISTEN news"),
      query("BEGIN; UNLISTEN news; ROLLBACK"),
      query("NOTIFY news, 'still'"),
    ],
  },
  savepoints: {
    script: [
      query("BEGIN"),
      query("LISTEN one"),
      query("SAVEPOINT s"),
      query("LISTEN two"),
      query("NOTIFY one, 'undone'"),
      query("ROLLBACK TO s"),
      query("LISTEN three"),
      query("RELEASE s"),
      query("NOTIFY one, 'kept'"),
      query("COMMIT"),
      query("NOTIFY two"),
      query("NOTIFY three"),
    ],
  },
  "a failed transaction": {
    script: [
      query("BEGIN"),
      query("LISTEN news"),
      query("SELECT 1/0"),
      query("LISTEN news"),
      query("NOTIFY news"),
      query("COMMIT"),
      query("NOTIFY news"),
    ],
  },
  "several statements of one string": {
    script: [
      query("LISTEN a; NOTIFY a, '1'; NOTIFY b; LISTEN b; NOTIFY b, '2'"),
      query("NOTIFY a, 'x'; SELECT 1/0"),
      query("LISTEN c; SELECT 1/0"),
      query("NOTIFY c; NOTIFY a, 'y'"),
    ],
  },
  "channels quoted, folded and long": {
    script: [
      query('LISTEN "Ne""ws"; LISTEN MiXed; LISTEN "ünï cödé"; LISTEN "select"; LISTEN virtual'),
      query('NOTIFY "Ne""ws", \'quoted\''),
      query("NOTIFY mixed"),
      query('NOTIFY "MiXed"'),
      query("SELECT pg_notify('mixed', 'm'), pg_notify('MiXed', 'M'), pg_notify('ünï cödé', 'ü')"),
      query('NOTIFY "select"'),
      query("NOTIFY virtual"),
      query(`LISTEN "${"x".repeat(63)}"`),
      query(`NOTIFY "${"x".repeat(63)}"`),
      query("LISTEN a.b"),
      query("LISTEN 'a'"),
      query('LISTEN ""'),
      query("UNLISTEN"),
    ],
  },
  "limits of channels and payloads": {
    script: [
      query("LISTEN n"),
      query(`NOTIFY n, '${"p".repeat(7999)}'`),
      query(`NOTIFY n, '${"p".repeat(8000)}'`),
      query(`SELECT pg_notify('n', repeat('ü', 4000))`),
      query(`SELECT pg_notify('${"x".repeat(64)}', '')`),
      query("SELECT pg_notify('', 'x')"),
      query("SELECT pg_notify(NULL, 'x')"),
      query("SELECT pg_notify('n', NULL)"),
    ],
  },
  "read-only transactions": {
    script: [
      query("BEGIN READ ONLY; LISTEN n; NOTIFY n, 'r'; COMMIT"),
      query("SET default_transaction_read_only = on; NOTIFY n, 's'"),
      query("NOTIFY n, 't'"),
      query("RESET default_transaction_read_only"),
    ],
  },
  "by the extended protocol": {
    script: [
      [parse("", "LISTEN news"), bind("", ""), execute(), sync()],
      [...run("NOTIFY news, 'extended'"), sync()],
      [...run("SELECT pg_notify('news', $1)", "a parameter"), sync()],
      [...run("NOTIFY news, '1'"), ...run("SELECT 1"), ...run("NOTIFY news, '2'"), sync()],
      [...run("LISTEN lost"), ...run("SELECT 1/0"), sync()],
      query("NOTIFY lost"),
      [parse("n", "NOTIFY news, 'named'"), bind("", "n"), execute(), sync()],
      [bind("", "n"), execute(), bind("", "n"), execute(), sync()],
      [...run("UNLISTEN *"), ...run("NOTIFY news"), sync()],
    ],
  },
  "what it listens to": {
    script: [
      query("SELECT pg_listening_channels()"),
      query('LISTEN b; LISTEN a; LISTEN "it\'s"; LISTEN b'),
      query("SELECT pg_listening_channels()"),
      query("SELECT * FROM pg_listening_channels()"),
      query("SELECT c.* FROM pg_catalog.pg_listening_channels() AS c (channel) ORDER BY channel"),
      query("SELECT pg_listening_channels FROM pg_listening_channels ( ) WHERE nope"),
      query(
        "SELECT count(*), 'a' IN (SELECT pg_listening_channels()) AS a FROM PG_Listening_Channels()",
      ),
      query("BEGIN; LISTEN later"),
      query("SELECT string_agg(c, ',') FROM pg_listening_channels() c"),
      query("COMMIT"),
      [parse("s", "SELECT c FROM pg_listening_channels() c WHERE c > $1 ORDER BY 1"), sync()],
      [bind("", "s", ["b"]), execute(), sync()],
      query("UNLISTEN later"),
      [bind("", "s", ["b"]), execute(), sync()],
      query("SELECT 1 AS pg_listening_channels"),
      query("SELECT 'pg_listening_channels()'"),
    ],
  },
  "DISCARD ALL and what it forgets": {
    script: [query("LISTEN news"), query("DISCARD ALL"), query("NOTIFY news")],
  },
  "a transaction over several databases that notifies": {
    script: [
      query("LISTEN moved"),
      query("BEGIN"),
      query("UPDATE accounts SET balance = balance - 1 WHERE id = 1"),
      query("NOTIFY moved, '1'"),
      query("UPDATE accounts SET balance = balance + 1 WHERE id = 101"),
      query("SELECT pg_notify('moved', '2')"),
      query("INSERT INTO notes VALUES (1, 'moved')"),
      query("COMMIT"),
      query("SELECT id, balance FROM accounts ORDER BY id"),
      query("SELECT * FROM notes"),
    ],
  },
};
