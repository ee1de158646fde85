/**
 * An endless stream of client sessions: each is a list of steps, transactions and
 * prepared statements included. Same seed, same stream.
 *
 * It sees no answer, so a replay needs the seed alone; what an earlier failure makes of a
 * later step is the same on both sides.
 */
import type { Parameter } from "../support/raw-frames.ts";
import type { Writing } from "./expressions.ts";
import { disguised, writeFailing } from "./failing.ts";
import { TABLES } from "./tables.ts";
import type { TableModel } from "./model.ts";
import { isRepeatable, withOtherLiterals } from "./other-literals.ts";
import type { Random } from "./random.ts";
import { composedSelect } from "./levels/levels.ts";
import { writeSelect } from "./select.ts";
import type { Call, Statement, Step } from "./statement.ts";
import { writeComposed } from "./write-composed.ts";
import { writeDelete, writeInsert, writeUpdate } from "./write.ts";

/** One unit of work: steps that end outside of a transaction. */
export function writeUnit(random: Random): Step[] {
  return random.weighted([
    [70, single],
    [16, transaction],
    [6, preparedStatement],
    [4, severalStatements],
    [3, pipeline],
    [5, repeated],
    [1, settings],
  ])(random);
}

/** Inserts that fill the tables, parents first. */
export function writeInitialRows(random: Random, rowsPerTable: number): Step[] {
  return TABLES.flatMap((table) =>
    Array.from({ length: rowsPerTable }, () => {
      const writing: Writing = { random, parameters: undefined, mayFail: true };
      return asSimple([{ ...change(writing, writeInsert(writing, table)), kind: "initial rows" }]);
    }),
  );
}

function single(random: Random): Step[] {
  return [stepOf(random)];
}

function transaction(random: Random): Step[] {
  const begin = random.pick([
    "BEGIN",
    "BEGIN",
    "BEGIN",
    "BEGIN ISOLATION LEVEL READ COMMITTED",
    "START TRANSACTION",
    "START TRANSACTION READ WRITE",
    "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "begin work",
    "BEGIN READ ONLY",
  ]);
  const steps = [command(random, begin)];
  const savepoints: string[] = [];
  // Half of all transactions stay with one colocation, as those of applications do.
  const home = random.chance(60) ? random.pick(TABLES).home : undefined;
  for (let count = random.integer(1, 6); count > 0; count--) {
    if (random.chance(18)) {
      const name = random.pick(["a", "b", '"C d"']);
      savepoints.push(name);
      steps.push(command(random, `SAVEPOINT ${name}`));
    } else if (savepoints.length > 0 && random.chance(35)) {
      steps.push(
        command(
          random,
          `${random.pick(["ROLLBACK TO", "ROLLBACK TO SAVEPOINT", "RELEASE"])} ${random.pick(savepoints)}`,
        ),
      );
    } else {
      steps.push(stepOf(random, home));
    }
  }
  steps.push(
    command(
      random,
      random.weighted([
        [6, "COMMIT"],
        [2, "ROLLBACK"],
        [1, "END"],
        [1, "ABORT"],
      ]),
    ),
  );
  return steps;
}

function stepOf(random: Random, home?: string): Step {
  const isExtended = random.chance(55);
  const statement = writeStatement(random, isExtended, home);
  return isExtended ? asExtended(random, statement) : asSimple([statement]);
}

/** Changes of many rows: which of them fails first is open. */
const MANY_ROWS = /^(DELETE|UPDATE)/;

/** Of the SELECTs: levels within levels, beside the flat forms of `select.ts`. */
const COMPOSED_PERCENT = 45;

/** In the simple protocol the statement has no parameters. */
function writeStatement(random: Random, isExtended: boolean, home?: string): Statement {
  const writing: Writing = { random, parameters: isExtended ? [] : undefined, mayFail: true };
  const tables = tablesOf(random, home);
  const draft = random.weighted<() => Statement>([
    [
      52,
      () => {
        const { kind, sql, order } = random.chance(COMPOSED_PERCENT)
          ? composedSelect(writing, tables)
          : writeSelect(writing, tables);
        return statementOf(kind, sql, writing.parameters ?? [], {
          order,
          isWrite: /\bFOR (UPDATE|SHARE|NO KEY|KEY)/.test(sql),
        });
      },
    ],
    [20, () => change(writing, writeInsert(writing, random.pick(tables)))],
    [14, () => change(writing, writeUpdate(writing, random.pick(tables)))],
    [5, () => change(writing, writeDelete(writing, random.pick(tables)))],
    [6, () => change(writing, writeComposed(writing, random.pick(tables)))],
    [
      7,
      () => {
        const sql = writeFailing(writing);
        return statementOf("failing", sql, [], {
          isWrite: true,
          mayFailTwice: MANY_ROWS.test(sql),
        });
      },
    ],
  ])();
  return usedParameters({
    ...draft,
    sql: draft.kind === "failing" ? draft.sql : disguised(writing, draft.sql),
  });
}

function tablesOf(random: Random, home: string | undefined): readonly TableModel[] {
  if (home !== undefined && random.chance(85)) return TABLES.filter((table) => table.home === home);
  const sharded = TABLES.filter(({ shardKey }) => shardKey.length > 0);
  return random.weighted([
    [40, sharded],
    [35, sharded.filter(({ home: name }) => name === "users")],
    [15, TABLES],
  ]);
}

function change(
  writing: Writing,
  { kind, sql, opaqueColumns, mayFailTwice, order = "any" }: ReturnType<typeof writeInsert>,
): Statement {
  return statementOf(kind, sql, writing.parameters ?? [], {
    isWrite: true,
    order,
    opaqueColumns,
    mayFailTwice,
  });
}

function statementOf(
  kind: string,
  sql: string,
  parameters: readonly Parameter[],
  more: Partial<Statement> = {},
): Statement {
  return {
    kind,
    sql,
    parameters,
    order: "any",
    opaqueColumns: [],
    isWrite: false,
    mayFailTwice: false,
    ...more,
  };
}

/** Drafts that were not taken may have drawn parameters: those left in the text are numbered again. */
function usedParameters(statement: Statement): Statement {
  const { sql, parameters } = statement;
  if (parameters.length === 0) return statement;
  const used = [
    ...new Set([...sql.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number))),
  ].toSorted((a, b) => a - b);
  return {
    ...statement,
    sql: sql.replaceAll(/\$(\d+)/g, (_, number: string) => `$${used.indexOf(Number(number)) + 1}`),
    parameters: used.flatMap((number) => parameters[number - 1] ?? []),
  };
}

function command(random: Random, sql: string): Step {
  const statement = statementOf("transaction", sql, [], { isWrite: true });
  return random.chance(30) ? asExtended(random, statement) : asSimple([statement]);
}

function asSimple(statements: readonly Statement[]): Step {
  return { kind: "simple", sql: statements.map(({ sql }) => sql).join("; "), statements };
}

function callsOf(random: Random, { sql, parameters, order }: Statement): Call[] {
  const name = random.chance(12) ? "named" : "";
  const portal = random.chance(10) ? "p 1" : "";
  const resultFormats = random.pick<(0 | 1)[]>([[], [], [0], [1], [1]]);
  const calls: Call[] = [];
  // An earlier failure may have left the name in use; now and then that is the test.
  if (name !== "" && random.chance(90)) calls.push({ kind: "close", target: "S", name });
  calls.push({ kind: "parse", name, sql, typeOids: parameters.map(({ typeOid }) => typeOid) });
  if (random.chance(30)) calls.push({ kind: "describe", target: "S", name });
  calls.push({ kind: "bind", statement: name, portal, parameters, resultFormats });
  // Who asks for binary values must know their types.
  if (resultFormats.includes(1) || random.chance(70))
    calls.push({ kind: "describe", target: "P", name: portal });
  if (order === "total" && random.chance(12))
    calls.push({ kind: "execute", portal, rowsMax: random.integer(1, 3) });
  calls.push({ kind: "execute", portal, rowsMax: 0 });
  if (name !== "") calls.push({ kind: "close", target: "S", name });
  if (random.chance(5)) calls.push({ kind: "close", target: "P", name: portal });
  return calls;
}

function asExtended(random: Random, statement: Statement): Step {
  return { kind: "extended", calls: callsOf(random, statement), statements: [statement] };
}

/** Prepared once, run several times with other values, in steps of their own. */
function preparedStatement(random: Random): Step[] {
  const statement = writeStatement(random, true);
  const name = random.pick(["s1", "S 2"]);
  const of = (...calls: Call[]): Step => ({ kind: "extended", calls, statements: [statement] });
  const steps = [
    of(
      { kind: "close", target: "S", name },
      {
        kind: "parse",
        name,
        sql: statement.sql,
        typeOids: statement.parameters.map(({ typeOid }) => typeOid),
      },
      { kind: "describe", target: "S", name },
    ),
  ];
  for (let count = random.integer(1, 4); count > 0; count--) {
    const parameters = statement.parameters.map((parameter) =>
      random.chance(10) ? { ...parameter, value: null } : parameter,
    );
    steps.push(
      of(
        {
          kind: "bind",
          statement: name,
          portal: "",
          parameters,
          resultFormats: random.pick<(0 | 1)[]>([[], [0], [1]]),
        },
        { kind: "describe", target: "P", name: "" },
        { kind: "execute", portal: "", rowsMax: 0 },
      ),
    );
  }
  steps.push(of({ kind: "close", target: "S", name }));
  return steps;
}

/** One text of literals, and then the same with others. */
function repeated(random: Random): Step[] {
  const statement = writeStatement(random, random.chance(25));
  const step = (sql: string): Step =>
    statement.parameters.length === 0 && random.chance(75)
      ? asSimple([{ ...statement, sql }])
      : asExtended(random, { ...statement, sql });
  if (!isRepeatable(statement.sql)) return [step(statement.sql)];
  const others = Array.from({ length: random.integer(2, 5) }, () =>
    withOtherLiterals(random, statement.sql),
  );
  return [statement.sql, ...others].map(step);
}

/** One string, one implicit transaction. */
function severalStatements(random: Random): Step[] {
  const statements = Array.from({ length: random.integer(2, 4) }, () =>
    writeStatement(random, false),
  );
  return [
    asSimple(
      statements.map((statement) => ({
        ...statement,
        kind: "several statements",
        sql: statement.sql.replace(/--.*$/s, ""),
        mayFailTwice: statement.mayFailTwice,
      })),
    ),
  ];
}

/** Several statements before one Sync: they fail or commit together. */
function pipeline(random: Random): Step[] {
  const statements = Array.from({ length: random.integer(2, 4) }, () => ({
    ...writeStatement(random, true),
    kind: "pipeline",
  }));
  return [
    {
      kind: "extended",
      calls: statements.flatMap((statement) => callsOf(random, statement)),
      statements,
    },
  ];
}

function settings(random: Random): Step[] {
  const zone = random.pick(["'Europe/Berlin'", "'UTC'", "'America/New_York'", "DEFAULT"]);
  return [
    command(random, `SET TimeZone = ${zone}`),
    command(random, `SET DateStyle = ${random.pick(["ISO", "'German'", "'SQL, DMY'"])}`),
    stepOf(random),
    stepOf(random),
    command(random, "RESET DateStyle"),
    command(random, "SET extra_float_digits = 1"),
    command(random, "RESET ALL"),
  ];
}
