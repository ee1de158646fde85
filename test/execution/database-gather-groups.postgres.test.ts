/** Partial groups that are combined on their way into a table, and gathers that give up their place to one. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { AggregateOutput, StreamedGather } from "../../planner/logical-plan.ts";
import type { BoundPull, PhysicalPlan } from "../../planner/physical-plan.ts";
import { startGatherServers, USERS, users } from "./gathering-servers.ts";
import type { GatherServers } from "./gathering-servers.ts";
import { fragment, gatherPlan, MAIN, rowTexts } from "./gathering.ts";
import type { Gathering, PullText } from "./gathering.ts";

let servers: GatherServers;
let gathering: Gathering;

beforeAll(async () => {
  servers = await startGatherServers();
  ({ gathering } = servers);
});

afterEach(() => servers.expectNothingLeft());

afterAll(() => servers[Symbol.asyncDispose]());

function bound(
  gather: Extract<StreamedGather, { kind: "aggregate" | "concat" | "merge" }>,
  count?: bigint,
  offset = 0n,
): Extract<BoundPull["gather"], { kind: "gather" }> {
  return { kind: "gather", gather, count, offset };
}

function grouped(outputs: readonly AggregateOutput[], groupBy = [0]): BoundPull["gather"] {
  return bound({
    kind: "aggregate",
    groupBy: groupBy.map((column) => ({ column, collation: "byte order" })),
    outputs,
    sort: [],
    hiddenOutputs: 0,
    limit: undefined,
    isCutByPlacements: false,
  });
}

function combined(
  combine: Extract<AggregateOutput, { kind: "combine" }>["combine"],
  ...columns: number[]
): AggregateOutput {
  return { kind: "combine", combine, columns, collation: "byte order" };
}

describe("groups", () => {
  const partial = `SELECT id % 3 AS rest, count(*) AS n, sum(id) AS total, count(id), max(name),
    sum(id) AS summed, min(born) FROM users GROUP BY 1`;
  const pull: PullText = {
    table: "colonnade_groups",
    columns: ["rest", "n", "mean", "last", "total", "first"],
    shape: "SELECT id, count(*), avg(id), max(name), sum(id), min(born) FROM users GROUP BY id",
    from: { main: partial, east: partial, west: partial },
    gather: grouped([
      { kind: "group", column: 0 },
      combined("count", 1),
      combined("average", 2, 3),
      combined("max", 4),
      combined("sum", 5),
      combined("min", 6),
    ]),
  };

  test("of all databases are one row each", async () => {
    const answer = await gathering.run(
      gatherPlan(
        [pull],
        `SELECT rest, n::int, mean, last, total, first FROM pg_temp.colonnade_groups
         WHERE n > 2 ORDER BY rest DESC`,
      ),
      {
        as: "SELECT id, count(*)::int, avg(id), max(name), sum(id), min(born) FROM users GROUP BY id",
      },
    );
    expect(rowTexts(answer)).toEqual([
      ["2", "3", "102.0000000000000000", "user 203", "306", "2000-01-03"],
      ["1", "3", "102.0000000000000000", "user 202", "306", "2000-01-02"],
      ["0", "3", "102.0000000000000000", "user 3", "306", "2000-01-04"],
    ]);
  });

  test("without a key are one row, whatever there is", async () => {
    const sql = "SELECT count(*) FROM users WHERE id < 0";
    const counted = {
      table: "t",
      columns: ["n"],
      shape: sql,
      from: { main: sql, east: sql },
      gather: grouped([combined("count", 0)], []),
    };
    const plan = gatherPlan([counted], "SELECT n FROM pg_temp.t");
    const answer = await gathering.run(plan, { as: "SELECT count(*) FROM users" });
    expect(rowTexts(answer)).toEqual([["0"]]);
  });

  test("that are given as they come wait for the rows of the catalog database itself", async () => {
    const many = (from: number): string =>
      `SELECT generate_series(${from}, ${from} + 40000)::text AS word`;
    const distinct = {
      table: "t",
      columns: ["word"],
      shape: many(0),
      from: { main: many(0), east: many(0), west: many(20_000) },
      gather: grouped([{ kind: "group", column: 0 }]),
    };
    const plan = gatherPlan([distinct], "SELECT count(word), count(DISTINCT word) FROM pg_temp.t");
    const answer = await gathering.run(plan, { as: "SELECT 1::bigint, 1::bigint" });
    expect(rowTexts(answer)).toEqual([["60001", "60001"]]);
  });

  test("of a window of rows are cut once, and what is left unread leaves the backends usable", async () => {
    const many = "SELECT generate_series(1, 300000)::bigint, 'x'::text";
    const pulled = {
      ...users({ main: many, east: many, west: many }),
      gather: bound({ kind: "concat", limit: undefined }, 5n, 2n),
    };
    const plan = gatherPlan([pulled], "SELECT count(*) FROM pg_temp.users");
    for (const transaction of [undefined, gathering.begin()]) {
      const answer = await gathering.run(plan, {
        as: "SELECT count(*) FROM users",
        ...(transaction && { transaction }),
      });
      expect(rowTexts(answer)).toEqual([["5"]]);
      await transaction?.commit(new AbortController().signal);
    }
  });
});

/** A merge by text of a collation that the proxy does not know, and what takes its place. */
function merging(from: Readonly<Record<string, string>>): PhysicalPlan {
  const finish = "SELECT id, name FROM pg_temp.users ORDER BY name, id LIMIT 3";
  const key = { column: 1, descending: false, nullsFirst: false, collation: "unknown" } as const;
  return {
    ...gatherPlan([], ""),
    fragments: Object.entries(from).map(([database, sql]) => fragment(database, sql)),
    gather: bound({ kind: "merge", sort: [key], hiddenColumns: 0, limit: undefined }, 3n),
    overflow: gatherPlan([users()], finish),
  };
}

describe("a streamed gather that turns out unable", () => {
  const sorted = `${USERS} ORDER BY name`;
  const expected = [
    ["1", "user 1"],
    ["101", "user 101"],
    ["102", "user 102"],
  ];

  test("is replaced before its first row, and described once", async () => {
    const plan = merging({ main: sorted, east: sorted, west: sorted });
    const kinds: string[] = [];
    const answer = await gathering.run(plan, {
      as: USERS,
      onEvent: ({ kind }) => void kinds.push(kind),
    });
    expect(rowTexts(answer)).toEqual(expected);
    expect(kinds).toEqual(["columns", "rows", "complete"]);
    const { text } = await gathering.metrics.render();
    expect(text).toContain('colonnade_gathers_total{kind="overflow"} 1');
  });

  test("leaves a transaction, whose rows it has not read, as it was", async () => {
    const many = "SELECT generate_series(1, 200000)::bigint AS id, 'x' AS name";
    const transaction = gathering.begin();
    const participant = await transaction.join(MAIN, new AbortController().signal);
    await participant.connection.query("DELETE FROM users WHERE id = 1");
    participant.wrote = "yes";
    const plan = merging({ main: many, east: many, west: many });
    const answer = await gathering.run(plan, { as: USERS, transaction });
    expect(rowTexts(answer)[0]).toEqual(["101", "user 101"]);
    for (const { connection } of transaction.participants)
      expect(connection.transactionStatus).toBe("inTransaction");
    await transaction.rollback();
  });

  test("may itself be one of groups in a database, and too much when some were copied", async () => {
    const many = (from: number): string =>
      `SELECT generate_series(${from}, ${from} + 80000)::text AS word`;
    const distinct = {
      table: "t",
      columns: ["word"],
      shape: many(0),
      from: { east: many(0), west: many(100_000) },
      gather: grouped([{ kind: "group", column: 0 }]),
    };
    const all = { ...distinct, gather: bound({ kind: "concat", limit: undefined }) };
    const plan = {
      ...gatherPlan([distinct], "SELECT 0::bigint"),
      overflow: gatherPlan([all], "SELECT count(DISTINCT word) FROM pg_temp.t"),
    };
    const transaction = gathering.begin();
    const answer = await gathering.run(plan, { as: "SELECT 1::bigint", transaction });
    expect(rowTexts(answer)).toEqual([["160002"]]);
    await transaction.commit(new AbortController().signal);
  });

  test("is not replaced where a server has failed, or the placements differ", async () => {
    const failing = "SELECT nothing FROM users";
    const failed = gathering.run(merging({ east: failing, west: sorted }), { as: USERS });
    await expect(failed).rejects.toMatchObject({ fields: { C: "42703" } });
    const other = "SELECT born, name FROM users ORDER BY name";
    const drifted = gathering.run(merging({ east: other, west: sorted }), { as: USERS });
    await expect(drifted).rejects.toMatchObject({ id: "placement_columns_differ" });
  });
});
