/** Which prepared statements keep their columns from a Sync on, and what is forgotten of the others. */
import { describe, expect, test } from "vitest";
import { PreparedStatements } from "../../proxy/session/prepared-statements.ts";
import type { PreparedStatement } from "../../proxy/session/prepared-statements.ts";

function statement(name: string): PreparedStatement {
  return {
    name,
    sql: "SELECT 1",
    isEmpty: false,
    endsTransaction: false,
    description: { parameterTypes: [], columns: [] },
    answersAs: undefined,
    catalogEpoch: 1,
    isTold: false,
  };
}

describe("a Sync", () => {
  test("makes its client know what it has named since the last, and not the unnamed one", () => {
    const prepared = new PreparedStatements();
    const [named, unnamed] = [statement("s"), statement("")];
    prepared.add(named);
    prepared.add(unnamed);
    expect([named.isTold, unnamed.isTold]).toEqual([false, false]);
    prepared.endBatch();
    expect([named.isTold, unnamed.isTold]).toEqual([true, false]);
  });

  test.each<[string, (prepared: PreparedStatements) => void]>([
    ["closed", (prepared) => prepared.close("s")],
    ["deallocated", (prepared) => prepared.deallocate("s")],
    ["replaced", (prepared) => prepared.add(statement("s"))],
    ["cleared", (prepared) => prepared.clear()],
  ])("passes over what is %s by then", (_, end) => {
    const prepared = new PreparedStatements();
    const named = statement("s");
    prepared.add(named);
    end(prepared);
    prepared.endBatch();
    expect(named.isTold).toBe(false);
  });
});
