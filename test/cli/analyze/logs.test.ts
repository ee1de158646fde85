/** Logs as they should not be. Logs as servers write them are in analyze.postgres.test.ts. */
import { expect, test } from "vitest";
import { readLog } from "./sample.ts";

/** A csvlog entry of PostgreSQL 14 and later. */
function csv(message: string, session = "65f.1", vxid = "3/0"): string {
  const quoted = `"${message.replaceAll('"', '""')}"`;
  return `2026-01-02 03:04:05.678 UTC,"app","shop",42,"[local]",${session},1,"SELECT",2026-01-02 03:00:00 UTC,${vxid},0,LOG,00000,${quoted},,,,,,,,,"psql","client backend",,0`;
}

function json(message: string, more: object = {}): string {
  const entry = { timestamp: "2026-01-02 03:04:05.678 UTC", pid: 42, session_id: "65f.1" };
  return JSON.stringify({ ...entry, error_severity: "LOG", message, ...more });
}

function stderr(message: string): string {
  return `2026-01-02 03:04:05.678 UTC [42] LOG:  ${message}`;
}

const SELECT = "duration: 1.5 ms  statement: SELECT 1";

test("an empty log tells nothing", async () => {
  expect(await readLog("")).toEqual({ statements: [], unread: [] });
  expect(await readLog("\n\n")).toEqual({ statements: [], unread: [] });
});

test.each([
  ["zero bytes", Buffer.from([0, 1, 2, 3]), /log:1: this is no log: it holds a zero byte/],
  ["a zero byte later", `${csv(SELECT)}\nab\0c\n`, /log:2: this is no log/],
  ["prose", "Dear reader,\nthis is no log\n", /log:1: this is no log of PostgreSQL's/],
  [
    "another program's log",
    '{"level":30,"msg":"hello"}\n',
    /log:1: this is no log of PostgreSQL's/,
  ],
  ["another prefix", "app@shop LOG:  statement: SELECT 1\n", /log:1: .*--log-line-prefix/],
])("%s are refused with file and line", async (_name, content, message) => {
  await expect(readLog(content)).rejects.toThrow(message);
});

test("a file that is not there, and a directory", async () => {
  const { observeLog } = await import("../../../cli/analyze/log-file.ts");
  await expect(observeLog("/nowhere/x.log").next()).rejects.toThrow(
    "cannot read log /nowhere/x.log: there is no such file",
  );
  await expect(observeLog("/tmp").next()).rejects.toThrow(
    "cannot read log /tmp: it is a directory",
  );
});

test("an escape that log_line_prefix does not have is refused", async () => {
  await expect(readLog(stderr(SELECT), "%m %z ")).rejects.toThrow('has no escape "%z"');
});

test("broken csvlog entries are counted with their places, and those around them are read", async () => {
  const log = [
    csv(SELECT),
    "half an entry, 12",
    '2026-01-02 03:04:05.678 UTC,"app","shop"',
    csv(SELECT),
    csv("never ends").replace(/"never.*/, '"never ends'),
  ].join("\n");
  const { statements, unread } = await readLog(log);
  expect(statements.map(({ sql, timeMs }) => [sql, timeMs])).toEqual([
    ["SELECT 1", 1.5],
    ["SELECT 1", 1.5],
  ]);
  expect(unread.map(({ reason, place }) => `${reason} ${place.replace(/.*:/, "")}`)).toEqual([
    "a line is no csvlog entry 2",
    "a line is no csvlog entry 3",
    "the log ends within an entry 5",
  ]);
});

test("a csvlog message keeps its lines, quotes and commas", async () => {
  const sql = 'SELECT "a",\n\'b"",c\'\n\n-- d\n FROM t';
  const { statements } = await readLog(`${csv(`duration: 2 ms  statement: ${sql}`)}\r\n`);
  expect(statements).toMatchObject([{ sql, calls: 1, timeMs: 2, session: "65f.1" }]);
});

test("broken jsonlog lines are counted, and those around them are read", async () => {
  const log = [json(SELECT), '{"pid": 4', "[1]", "7", '{"message": 1}', json(SELECT)];
  const { statements, unread } = await readLog(log.join("\n"));
  expect(statements).toHaveLength(2);
  expect(unread).toHaveLength(4);
  expect(unread[0]?.place).toMatch(/:2$/);
});

test("a line beyond the bound is passed over, and what follows is read", async () => {
  const long = "x".repeat(17 * 1024 * 1024);
  for (const line of [csv, json, stderr]) {
    const { statements, unread } = await readLog(
      [line(SELECT), line(`statement: SELECT '${long}'`), line(SELECT), ""].join("\n"),
    );
    expect(statements.map(({ sql }) => sql)).toEqual(["SELECT 1", "SELECT 1"]);
    expect(unread.map(({ reason }) => reason)).toEqual(["an entry is too long to be read"]);
  }
});

test("a csvlog entry whose lines are many and short is bounded as well", async () => {
  const log = `${csv(SELECT)}\n${csv("x").replace(/"x".*/s, `"${`${"x".repeat(999)}\n`.repeat(18_000)}`)}`;
  const { statements, unread } = await readLog(log);
  expect(statements).toHaveLength(1);
  expect(unread).toMatchObject([{ reason: "an entry is too long to be read" }]);
});

test("stderr: further lines, details, and entries of other severities", async () => {
  const log = [
    "\tthe rest of an entry that is not there",
    stderr("duration: 3 ms  statement: EXECUTE p(1)"),
    "2026-01-02 03:04:05.678 UTC [42] DETAIL:  prepare: PREPARE p AS SELECT name",
    "\tFROM users WHERE id = $1",
    "2026-01-02 03:04:05.678 UTC [42] ERROR:  division by zero",
    "2026-01-02 03:04:05.678 UTC [42] STATEMENT:  SELECT 1/0",
    stderr("duration: 4 ms  statement: SELECT 'a"),
    "\tb'",
    stderr("checkpoint starting: time"),
  ].join("\n");
  const { statements, unread } = await readLog(log);
  expect(unread).toEqual([]);
  expect(statements).toMatchObject([
    { sql: "SELECT name\nFROM users WHERE id = $1", timeMs: 3, session: "42" },
    { sql: "SELECT 'a\nb'", timeMs: 4 },
  ]);
});

test.each([
  [
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "2026-01-02 03:04:05 UTC [42]: [7-1] user=app,db=shop,app=psql,client=::1 ",
    "42",
  ],
  [
    "%m %c %v %e %q%u@%d|%r ",
    "2026-01-02 03:04:05.678 UTC 65f.a1 3/7 00000 app@shop|[local] ",
    "65f.a1",
  ],
  ["%n|%-8p|%%|", "1767323045.678|42      |%|", "42"],
  ["(%p) ", "(42) ", "42"],
])("stderr with log_line_prefix %s", async (prefix, written, session) => {
  const { statements } = await readLog(`${written}LOG:  ${SELECT}\n`, prefix);
  expect(statements).toMatchObject([{ sql: "SELECT 1", session }]);
});

test("texts and times that are logged apart belong together by session", async () => {
  const log = [
    csv("statement: SELECT 1", "a.1"),
    csv("statement: SELECT 2", "b.2"),
    csv("duration: 1 ms", "a.1"),
    csv("duration: 2 ms", "b.2"),
    csv("duration: 9 ms", "a.1"),
    csv("duration: 0.5 ms  parse s1: SELECT 3", "a.1"),
    csv("duration: 0.25 ms  bind s1/c: SELECT 3", "a.1"),
    csv("duration: 4 ms  execute s1/c: SELECT 3", "a.1"),
    csv("duration: 5 ms  execute fetch from s1/c: SELECT 3", "a.1"),
    csv("duration: 7 ms  plan:\nQuery Text: SELECT 3", "a.1"),
  ].join("\n");
  const { statements } = await readLog(log);
  expect(statements.map(({ sql, calls, timeMs }) => [sql, calls, timeMs])).toEqual([
    ["SELECT 1", 1, undefined],
    ["SELECT 2", 1, undefined],
    ["SELECT 1", 0, 1],
    ["SELECT 2", 0, 2],
    ["SELECT 3", 0, 0.5],
    ["SELECT 3", 0, 0.25],
    ["SELECT 3", 1, 4],
    ["SELECT 3", 0, 5],
  ]);
});

test("a transaction is told by its id, which is 0 outside of one", async () => {
  const log = [csv(SELECT, "a.1", "3/17"), csv(SELECT, "a.1", "3/0"), csv(SELECT, "a.1", "")];
  const { statements } = await readLog(log.join("\n"));
  expect(statements.map(({ transaction }) => transaction)).toEqual(["3/17", undefined, undefined]);
});

test("bytes that are no UTF-8 are read as replacement characters", async () => {
  const line = Buffer.concat([
    Buffer.from(stderr("statement: SELECT '")),
    Buffer.from([0xe9, 0x27]),
  ]);
  expect((await readLog(line)).statements[0]?.sql).toBe("SELECT '\uFFFD'");
});
