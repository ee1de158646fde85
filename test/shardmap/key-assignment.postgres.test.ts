/** What key-assignment.ts says is stored is what a real server stores: the same value, or an error for "invalid". */
import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  assignedFromBinary,
  assignedFromNumber,
  assignedFromParameterText,
  assignedFromText,
  type KeyColumn,
} from "../../shardmap/key-assignment.ts";
import type { KeyComparison } from "../../shardmap/shard-key.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { found } from "./found.ts";
import { seeded } from "./random-keys.ts";
import { numberLiterals, spelling } from "./random-spellings.ts";
import { expectSame, inputs, SEND } from "./server-inputs.ts";

let server: TestPostgres;
let client: pg.Client;

beforeAll(async () => {
  server = await startPostgres();
  client = await server.connect();
});

afterAll(async () => {
  await client.end();
  await server.stop();
});

describe("assigned to a key column", () => {
  const COLUMNS: readonly (readonly [string, KeyColumn])[] = [
    ["smallint", { type: "smallint", typmod: -1 }],
    ["integer", { type: "integer", typmod: -1 }],
    ["bigint", { type: "bigint", typmod: -1 }],
    ["text", { type: "text", typmod: -1 }],
    ["varchar", { type: "varchar", typmod: -1 }],
    ["varchar(3)", { type: "varchar", typmod: 7 }],
    ["timestamptz(3)", { type: "timestamptz", typmod: 3 }],
    ["timestamptz(0)", { type: "timestamptz", typmod: 0 }],
    ["date", { type: "date", typmod: -1 }],
    ["uuid", { type: "uuid", typmod: -1 }],
  ];

  async function stored(
    column: KeyColumn,
    operand: string,
    values: readonly unknown[] = [],
  ): Promise<Buffer | undefined> {
    try {
      const { rows } = await client.query<{ bytes: Buffer }>(
        `INSERT INTO t VALUES (${operand}) RETURNING ${SEND[column.type]}(k) AS bytes`,
        [...values],
      );
      return found(rows[0]).bytes;
    } catch (cause) {
      if (!/^(22|42)/.test((cause as { code?: string }).code ?? "")) throw cause;
      return undefined;
    }
  }

  function check(
    input: string,
    claim: KeyComparison,
    column: KeyColumn,
    bytes: Buffer | undefined,
  ): boolean {
    if (claim === "unproven") return false;
    expect([input, claim === "invalid" ? "an error" : "stored"]).toEqual([
      input,
      bytes === undefined ? "an error" : "stored",
    ]);
    expect(claim).not.toBe("noMatch");
    if (typeof claim !== "string") expectSame(claim, column.type, found(bytes));
    return true;
  }

  test.each(COLUMNS)(
    "%s: literals and parameters are stored as claimed",
    async (definition, column) => {
      const random = seeded(8);
      await client.query("DROP TABLE IF EXISTS t");
      await client.query(`CREATE TEMP TABLE t (k ${definition})`);
      let proven = 0;
      for (let count = 0; count < 250; count++) {
        const text = spelling(column.type, random);
        const quoted = client.escapeLiteral(text);
        if (check(text, assignedFromText(column, text), column, await stored(column, quoted)))
          proven++;
      }
      for (const literal of numberLiterals(random, 120)) {
        check(literal, assignedFromNumber(column, literal), column, await stored(column, literal));
        for (const [type, oid, send] of [
          ["integer", 23, "int4send"],
          ["bigint", 20, "int8send"],
          ["numeric", 1700, "numeric_send"],
        ] as const) {
          const [sent] = await inputs(client, type, send, [literal]);
          const bytes = await stored(column, `$1::text::${type}`, [literal]);
          check(literal, assignedFromParameterText(column, oid, literal), column, bytes);
          if (sent) check(literal, assignedFromBinary(column, oid, sent), column, bytes);
        }
      }
      expect(proven).toBeGreaterThan(20);
    },
  );
});
