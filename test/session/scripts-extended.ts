/** Scripts of the extended protocol: every order of its messages, and an error at each position. */
import {
  bind,
  bindWithFormats,
  close,
  describe,
  execute,
  flush,
  functionCall,
  parse,
  query,
  raw,
  run,
  sync,
} from "./conversation.ts";
import type { Case } from "./comparing.ts";

const ONE = "SELECT id, name, balance FROM accounts WHERE id = $1";
const ALL = "SELECT id, name FROM accounts ORDER BY id";
const AFTER = [query("SELECT id, balance FROM accounts ORDER BY id")];

const UNSUPPORTED = (message: string): string =>
  `ErrorResponse S=ERROR V=ERROR C=22023 M=${message}`;

const int8 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};

export const EXTENDED: Readonly<Record<string, Case>> = {
  "parse, bind, describe, execute": { script: [run(ONE, "1"), sync()] },
  "a scatter": { script: [run(ALL), sync()] },
  "describe a statement": {
    script: [
      parse("s", ONE),
      describe("S", "s"),
      sync(),
      bind("", "s", ["101"]),
      execute(),
      sync(),
    ],
  },
  "describe before and after bind": {
    script: [
      parse("", ONE),
      describe("S", ""),
      bind("", "", ["1"], [1]),
      describe("P", ""),
      describe("S", ""),
      execute(),
      sync(),
    ],
  },
  "named portals side by side": {
    script: [
      query("BEGIN"),
      parse("s", ONE),
      bind("a", "s", ["1"]),
      bind("b", "s", ["201"]),
      execute("b"),
      execute("a"),
      describe("P", "a"),
      close("P", "a"),
      execute("b"),
      sync(),
      execute("b"),
      sync(),
      query("COMMIT"),
    ],
  },
  "a scatter that wants no row": {
    script: [run("SELECT id FROM accounts ORDER BY id LIMIT 0"), sync()],
  },
  "a portal twice": { script: [parse("", ONE), bind("", "", ["1"]), execute(), execute(), sync()] },
  "a write's portal twice": {
    script: [
      parse("", "UPDATE accounts SET balance = balance + 1 WHERE id = $1"),
      bind("", "", ["1"]),
      execute(),
      execute(),
      sync(),
      AFTER,
    ],
  },
  "a returning write's portal twice": {
    script: [
      parse("", "UPDATE accounts SET balance = balance + 1 WHERE id = $1 RETURNING balance"),
      bind("", "", ["1"]),
      execute(),
      execute(),
      sync(),
      AFTER,
    ],
  },
  flush: {
    script: [parse("", ONE), flush(), bind("", "", ["1"]), flush(), execute(), flush(), sync()],
  },
  "sync alone": { script: [sync(), sync()] },
  "close of nothing": {
    script: [close("S", "none"), close("P", "none"), close("S", ""), close("P", ""), sync()],
  },
  "close a statement": { script: [parse("s", ONE), close("S", "s"), bind("", "s", ["1"]), sync()] },
  "close a statement whose portal is open": {
    script: [parse("s", ONE), bind("p", "s", ["1"]), close("S", "s"), execute("p"), sync()],
  },
  "close the unnamed portal": {
    script: [parse("", ONE), bind("", "", ["1"]), close("P", ""), execute(), sync()],
  },
  "bad SQL": {
    script: [parse("", "SELEC 1"), bind("", ""), execute(), sync(), run("SELECT 1"), sync()],
  },
  "bad SQL with multibyte characters": {
    script: [
      parse("", "SELECT 'äöü€😀', nope FROM accounts"),
      sync(),
      parse("", "SELECT 'äöü€😀' frm frm frm"),
      sync(),
    ],
  },
  "unknown table": { script: [parse("", "SELECT * FROM nowhere"), sync()] },
  "unknown column": { script: [parse("", "SELECT nope FROM accounts WHERE id = 1"), sync()] },
  "unknown type of parameter": {
    script: [parse("", "SELECT $1"), describe("S", ""), bind("", "", ["x"]), execute(), sync()],
  },
  "undetermined parameter": { script: [parse("", "SELECT $2::int"), describe("S", ""), sync()] },
  "unknown statement": {
    script: [
      bind("", "none"),
      sync(),
      describe("S", "none"),
      sync(),
      bind("", ""),
      sync(),
      describe("S", ""),
      sync(),
    ],
  },
  "unknown portal": {
    script: [
      execute("none"),
      sync(),
      describe("P", "none"),
      sync(),
      execute(),
      sync(),
      describe("P", ""),
      sync(),
    ],
  },
  "a name taken": {
    script: [parse("s", ONE), parse("s", ONE), sync(), parse("", ONE), parse("", ONE), sync()],
  },
  "a portal's name taken": {
    script: [parse("s", ONE), bind("p", "s", ["1"]), bind("p", "s", ["1"]), sync()],
  },
  "a failed parse forgets the unnamed statement": {
    script: [parse("", ONE), sync(), parse("", "SELEC"), sync(), bind("", "", ["1"]), sync()],
  },
  "too few parameters": {
    script: [
      parse("", ONE),
      bind("", ""),
      sync(),
      parse("s", ONE),
      bind("", "s", ["1", "2"]),
      sync(),
    ],
  },
  "wrong number of formats": {
    script: [
      parse("", ONE),
      bindWithFormats([0, 0], ["1"], []),
      sync(),
      parse("", ONE),
      bindWithFormats([], ["1"], [0, 1]),
      sync(),
    ],
  },
  "unknown format code of a parameter": {
    script: [parse("", ONE), bindWithFormats([2], ["1"], []), sync()],
    differs: {
      because: "the message is refused as it is read, before its parameters are looked at",
      instead: [["ErrorResponse", UNSUPPORTED("unsupported format code: 2")]],
    },
  },
  "unknown format code of a column": {
    script: [parse("", ONE), bindWithFormats([], ["1"], [7]), execute(), sync()],
    differs: {
      because: "the message is refused as it is read, and not once there are rows",
      instead: [
        ["BindComplete", undefined],
        ["ErrorResponse", UNSUPPORTED("unsupported format code: 7")],
      ],
    },
  },
  "a message with a broken inside": {
    script: [
      raw("P", Buffer.from("no end")),
      sync(),
      raw("D", Buffer.from("S")),
      sync(),
      query("SELECT 1"),
    ],
    differs: {
      because: "the decoder words it in its own way",
      instead: [],
    },
  },
  "unreadable text parameter": {
    script: [parse("", ONE), bind("", "", ["x"]), execute(), sync(), run(ONE, "1"), sync()],
  },
  "unreadable binary parameter": {
    script: [parse("", ONE), bind("", "", [Buffer.from("abc")]), execute(), sync()],
  },
  "unreadable parameter of another column": {
    script: [
      parse("", "UPDATE accounts SET balance = $2 WHERE id = $1"),
      bind("", "", ["1", "many"]),
      execute(),
      sync(),
      AFTER,
    ],
  },
  "parameter out of range": {
    script: [
      parse("", "UPDATE accounts SET balance = $2 WHERE id = $1"),
      bind("", "", ["1", "99999999999"]),
      execute(),
      sync(),
      AFTER,
    ],
  },
  "invalid UTF-8 in a parameter": {
    script: [
      parse("", "SELECT $1::text"),
      bind("", "", [Buffer.from([0xff, 0xfe])]),
      execute(),
      sync(),
    ],
  },
  "zero byte in a parameter": {
    script: [parse("", "SELECT $1::text"), bind("", "", ["a\0b"]), execute(), sync()],
  },
  "null parameters": {
    script: [run("SELECT $1::text, $2::int", null, null), sync(), run(ONE, null), sync()],
  },
  "division by zero": {
    script: [
      run("SELECT 1/balance-balance FROM accounts WHERE id = $1", "1"),
      run("SELECT 1/(balance-balance) FROM accounts WHERE id = $1", "1"),
      run(ONE, "1"),
      sync(),
      run(ONE, "1"),
      sync(),
    ],
  },
  "an error in the second undoes the first": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      run("UPDATE accounts SET balance = -1 WHERE id = 1"),
      run(ONE, "1"),
      sync(),
      AFTER,
    ],
  },
  "an error in the second undoes the first elsewhere": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      run("UPDATE accounts SET balance = -1 WHERE id = 101"),
      sync(),
      AFTER,
    ],
  },
  "a pipeline over two databases": {
    script: [
      run("UPDATE accounts SET balance = 1 WHERE id = 1"),
      run("UPDATE accounts SET balance = 1 WHERE id = 101"),
      sync(),
      AFTER,
    ],
  },
  "a pipeline in two syncs": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      sync(),
      run("UPDATE accounts SET balance = -1 WHERE id = 1"),
      sync(),
      AFTER,
    ],
  },
  "constraint error": {
    script: [
      run("INSERT INTO accounts VALUES (1, 'again', 1)"),
      sync(),
      run("INSERT INTO accounts VALUES (3, 'no balance', NULL)"),
      sync(),
      run("INSERT INTO entries VALUES (77, 1, 'no account')"),
      sync(),
    ],
  },
  "deferred constraint at the implicit commit": {
    script: [
      run("INSERT INTO late VALUES (1, 1)"),
      run("INSERT INTO late VALUES (1, 1)"),
      sync(),
      query("SELECT count(*) FROM late WHERE account = 1"),
    ],
  },
  "deferred constraint of one statement": {
    script: [
      run("INSERT INTO late VALUES (1, 1), (1, 1)"),
      sync(),
      query("SELECT count(*) FROM late WHERE account = 1"),
    ],
  },
  "deferred constraint at COMMIT": {
    script: [
      query("BEGIN"),
      run("INSERT INTO late VALUES (1, 1), (1, 1)"),
      sync(),
      run("COMMIT"),
      sync(),
      query("SELECT count(*) FROM late WHERE account = 1"),
    ],
  },
  "empty query": {
    script: [
      parse("", ""),
      describe("S", ""),
      bind("", ""),
      describe("P", ""),
      execute(),
      execute(),
      sync(),
      parse("", " -- nothing"),
      bind("", ""),
      execute(),
      sync(),
      parse("", ";"),
      bind("", ""),
      execute(),
      sync(),
    ],
  },
  "several statements": {
    script: [
      parse("", "SELECT 1; SELECT 2"),
      sync(),
      parse("", "SELECT 1;"),
      bind("", ""),
      execute(),
      sync(),
      parse("", ";SELECT 1"),
      bind("", ""),
      execute(),
      sync(),
    ],
  },
  "row limits": {
    script: [
      parse("", ALL),
      bind("", ""),
      execute("", 1),
      execute("", 2),
      execute("", 1),
      execute("", 1),
      execute("", 0),
      sync(),
    ],
  },
  "row limit equal to the rows": {
    script: [parse("", ALL), bind("", ""), execute("", 4), execute("", 4), sync()],
  },
  "row limit above the rows": { script: [parse("", ALL), bind("", ""), execute("", 5), sync()] },
  "row limit of one placement": {
    script: [
      parse("", "SELECT id FROM accounts WHERE id IN (1, 2) ORDER BY id"),
      bind("", ""),
      execute("", 1),
      execute("", 1),
      execute("", 1),
      sync(),
    ],
  },
  "row limit across sync outside of a transaction": {
    script: [parse("", ALL), bind("p", ""), execute("p", 1), sync(), execute("p", 1), sync()],
  },
  "row limit across sync inside of a transaction": {
    script: [
      query("BEGIN"),
      parse("", ALL),
      bind("p", ""),
      execute("p", 1),
      sync(),
      execute("p", 1),
      sync(),
      execute("p", 0),
      sync(),
      query("COMMIT"),
      execute("p", 1),
      sync(),
    ],
  },
  "the unnamed portal across sync in a transaction": {
    script: [
      query("BEGIN"),
      parse("", ALL),
      bind("", ""),
      execute("", 1),
      sync(),
      execute("", 1),
      sync(),
      query("SELECT 1"),
      execute("", 1),
      sync(),
      query("ROLLBACK"),
    ],
  },
  "row limit on a write": {
    script: [
      parse("", "UPDATE accounts SET balance = balance + 1 WHERE id IN (1, 2) RETURNING id"),
      bind("", ""),
      execute("", 1),
      execute("", 0),
      sync(),
      AFTER,
    ],
  },
  "row limit on a write without rows": {
    script: [
      parse("", "UPDATE accounts SET balance = balance + 1 WHERE id IN (1, 2)"),
      bind("", ""),
      execute("", 1),
      sync(),
      AFTER,
    ],
  },
  "negative row limit": { script: [parse("", ALL), bind("", ""), execute("", -1), sync()] },
  "a portal ends with its transaction": {
    script: [
      query("BEGIN"),
      parse("s", ALL),
      bind("p", "s"),
      sync(),
      query("COMMIT"),
      execute("p"),
      sync(),
    ],
  },
  "a portal made before BEGIN in one pipeline": {
    script: [
      parse("s", ALL),
      bind("p", "s"),
      run("BEGIN"),
      execute("p", 1),
      sync(),
      execute("p", 1),
      sync(),
      query("ROLLBACK"),
    ],
  },
  "BEGIN and COMMIT": {
    script: [
      run("BEGIN"),
      sync(),
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      sync(),
      run("COMMIT"),
      sync(),
      AFTER,
    ],
  },
  "BEGIN and COMMIT in a pipeline": {
    script: [
      run("BEGIN"),
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      run("COMMIT"),
      run("UPDATE accounts SET balance = -1 WHERE id = 1"),
      sync(),
      AFTER,
    ],
  },
  "BEGIN within a pipeline": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      run("BEGIN"),
      run("UPDATE accounts SET balance = 5 WHERE id = 101"),
      sync(),
      query("ROLLBACK"),
      AFTER,
    ],
  },
  "COMMIT within a pipeline": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      run("COMMIT"),
      run("UPDATE accounts SET balance = -5 WHERE id = 101"),
      sync(),
      AFTER,
    ],
  },
  "ROLLBACK within a pipeline": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      run("ROLLBACK"),
      run("UPDATE accounts SET balance = 5 WHERE id = 101"),
      sync(),
      AFTER,
    ],
  },
  "SAVEPOINT within a pipeline": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      run("SAVEPOINT s"),
      sync(),
      AFTER,
    ],
  },
  "a failed transaction": {
    script: [
      query("BEGIN"),
      run("SELECT 1/0"),
      sync(),
      run(ONE, "1"),
      sync(),
      parse("s", "ROLLBACK"),
      sync(),
      bind("", "s"),
      execute(),
      sync(),
      run(ONE, "1"),
      sync(),
    ],
  },
  "describe and bind in a failed transaction": {
    script: [
      parse("s", ONE),
      parse("u", "UPDATE accounts SET balance = 1 WHERE id = 1"),
      parse("r", "ROLLBACK"),
      sync(),
      query("BEGIN; SELECT 1/0"),
      describe("S", "s"),
      sync(),
      describe("S", "u"),
      sync(),
      bind("", "s", ["1"]),
      sync(),
      bind("", "r"),
      sync(),
      parse("x", ""),
      bind("", "x"),
      execute(),
      sync(),
      execute(),
      sync(),
      close("S", "s"),
      sync(),
      bind("", "r"),
      execute(),
      sync(),
    ],
  },
  "a portal in a failed transaction": {
    script: [
      query("BEGIN"),
      parse("s", ONE),
      bind("p", "s", ["1"]),
      sync(),
      query("SELECT 1/0"),
      describe("P", "p"),
      sync(),
      execute("p"),
      sync(),
      query("ROLLBACK"),
    ],
  },
  "a portal and ROLLBACK TO": {
    script: [
      query("BEGIN; SAVEPOINT a"),
      parse("s", ALL),
      bind("p", "s"),
      execute("p", 1),
      sync(),
      query("ROLLBACK TO a"),
      execute("p", 1),
      sync(),
      query("ROLLBACK"),
    ],
  },
  "a portal from before a savepoint and ROLLBACK TO": {
    script: [
      query("BEGIN"),
      parse("s", ALL),
      bind("p", "s"),
      execute("p", 1),
      sync(),
      query("SAVEPOINT a"),
      query("ROLLBACK TO a"),
      execute("p", 1),
      sync(),
      query("ROLLBACK"),
    ],
  },
  "COMMIT of a failed transaction": {
    script: [
      query("BEGIN"),
      run("SELECT 1/0"),
      sync(),
      run("COMMIT"),
      sync(),
      run("COMMIT"),
      sync(),
    ],
  },
  "a prepared statement survives a rollback": {
    script: [
      query("BEGIN"),
      parse("s", ONE),
      sync(),
      query("ROLLBACK"),
      bind("", "s", ["1"]),
      execute(),
      sync(),
    ],
  },
  "skipping until Sync": {
    script: [
      parse("", "SELEC"),
      parse("s", ONE),
      close("S", "none"),
      flush(),
      describe("S", "s"),
      sync(),
      describe("S", "s"),
      sync(),
    ],
  },
  "a query while skipping": {
    script: [parse("", "SELEC"), raw("Q", Buffer.from("SELECT 1\0")), sync(), query("SELECT 2")],
  },
  "a query in the middle of a pipeline": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      query("SELECT 1/0"),
      sync(),
      AFTER,
    ],
  },
  "a query that commits the pipeline": {
    script: [
      run("UPDATE accounts SET balance = 0 WHERE id = 1"),
      query("SELECT 1"),
      run("SELECT 1/0"),
      sync(),
      AFTER,
    ],
  },
  "stray copy messages": {
    script: [
      raw("d", Buffer.from("data")),
      raw("c"),
      raw("f", Buffer.from("no\0")),
      query("SELECT 1"),
    ],
  },
  "declared types": {
    script: [
      parse("", "SELECT $1", [23]),
      describe("S", ""),
      bind("", "", ["5"], [1]),
      execute(),
      sync(),
      parse("", "SELECT $1::text", [0, 23]),
      describe("S", ""),
      sync(),
      parse("", "SELECT 1", [999_999]),
      sync(),
      parse("", "SELECT $1", [999_999]),
      sync(),
    ],
  },
  "binary keys and results": {
    script: [
      parse("", ONE),
      bind("", "", [int8(201n)], [1]),
      describe("P", ""),
      execute(),
      sync(),
      parse("", ONE),
      bind("", "", [int8(-1n)], [1, 0, 1]),
      execute(),
      sync(),
    ],
  },
  "utility statements": {
    script: [
      run("SET TimeZone = 'UTC'"),
      sync(),
      run("SHOW TimeZone"),
      sync(),
      parse("", "SHOW server_version"),
      describe("S", ""),
      sync(),
      run("DISCARD ALL"),
      sync(),
      run("DEALLOCATE ALL"),
      sync(),
    ],
  },
  DEALLOCATE: {
    script: [
      parse("s", ONE),
      sync(),
      query("DEALLOCATE s"),
      bind("", "s", ["1"]),
      sync(),
      query("DEALLOCATE s"),
      query("DEALLOCATE ALL"),
      query("DEALLOCATE PREPARE ALL"),
    ],
  },
  "function call": {
    script: [functionCall(), query("SELECT 1")],
    differs: {
      because: "functions are called by OID, and OIDs are each database's own",
      instead: [
        [
          "ErrorResponse",
          "ErrorResponse S=ERROR V=ERROR C=0A000 M=the function call message is not supported H=Call the function in a SELECT.",
        ],
      ],
    },
  },
  notices: {
    script: [
      run("SELECT say($1)", "x"),
      sync(),
      run("SELECT say(name) FROM accounts WHERE id = 1"),
      sync(),
    ],
  },
  "VACUUM, which may be in no block, before a Flush": {
    script: [run("VACUUM countries"), flush(), sync(), ...AFTER],
  },
  "VACUUM first in a pipeline commits, and what follows begins anew": {
    script: [
      run("VACUUM countries"),
      run("VACUUM countries"),
      run("UPDATE accounts SET balance = 5 WHERE id = 1"),
      run("VACUUM countries"),
      sync(),
      ...AFTER,
    ],
  },
  "LOCK TABLE first in a pipeline is in no block": {
    script: [run("LOCK TABLE countries"), run("SELECT 1"), sync()],
  },
  "VACUUM takes portals with it, and COMMIT of no block as well": {
    script: [
      parse("s", ONE),
      bind("p", "s", ["1"]),
      run("VACUUM countries"),
      bind("p", "s", ["2"]),
      run("COMMIT"),
      bind("p", "s", ["101"]),
      execute("p"),
      sync(),
      bind("p", "s", ["1"]),
      run("ROLLBACK"),
      parse("u", "UPDATE accounts SET balance = 7 WHERE id = $1"),
      bind("p", "u", ["1"]),
      execute("p"),
      sync(),
      ...AFTER,
    ],
  },
  "CLOSE ALL described": {
    script: [
      run("CLOSE ALL"),
      sync(),
      parse("c", "CLOSE ALL"),
      bind("c", "c"),
      describe("P", "c"),
      execute("c"),
      sync(),
      query("BEGIN"),
      run("CLOSE ALL"),
      bind("c", "c"),
      describe("P", "c"),
      execute("c"),
      sync(),
      query("COMMIT"),
    ],
  },
  "the unnamed statement outlives DISCARD ALL and DEALLOCATE ALL": {
    script: [
      parse("s", ONE),
      parse("d", "DISCARD ALL"),
      parse("", ONE),
      bind("d", "d"),
      execute("d"),
      bind("", "", ["1"]),
      execute(),
      sync(),
      parse("d", "DEALLOCATE ALL"),
      parse("", ONE),
      bind("d", "d"),
      execute("d"),
      bind("", "", ["2"]),
      execute(),
      sync(),
      bind("", "s", ["1"]),
      sync(),
    ],
  },
};
