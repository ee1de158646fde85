/** Every statement of TPC-C and sysbench is planned: none is refused, and each goes where its rows are. */
import { beforeAll, describe, expect, test } from "vitest";
import { loadParser } from "../../planner/parse.ts";
import { planContext, routeOf } from "../support/routes.ts";
import { SYSBENCH } from "./sysbench.ts";
import { TPCC } from "./tpcc.ts";
import { mapYaml } from "./servers.ts";

beforeAll(loadParser);

describe.for([TPCC, SYSBENCH])("$name", (workload) => {
  const statements = new Map(
    workload.transactions.flatMap((transaction) =>
      transaction.statements.map((call) => [call.sql, call] as const),
    ),
  );
  test.for([...statements.values()])("$sql", ({ sql, isSingle }) => {
    const context = planContext(
      mapYaml(workload, (name) => `postgres://app@${name}.example/app`),
      workload.schema.join(";\n"),
    );
    const { kind } = routeOf(sql, context);
    expect(kind).not.toBe("refused");
    expect(kind === "single", "one placement alone").toBe(isSingle || sql.startsWith("INSERT"));
  });
});
