/** Values of all common types, in and out, as text and in binary, one placement and several. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RawClient } from "../support/raw-client.ts";
import { readRow } from "../support/raw-frames.ts";
import {
  bind,
  converse,
  describe as describeMessage,
  execute,
  parse,
  sync,
} from "./conversation.ts";
import type { Value } from "./conversation.ts";
import { startServers } from "./servers.ts";
import type { Servers } from "./servers.ts";

const COLUMNS =
  "small, number, single, wide, flag, letters, fixed, word, bytes, day, moment, instant, hour, span, one, document, list, words";

const ROWS: readonly (readonly (string | null)[])[] = [
  [
    "-32768",
    "-12345678.90",
    "1.5",
    "-0.1",
    "t",
    "abc",
    "ab",
    "ü€😀 'quoted' \\ \"x\"",
    "\\x00ff10",
    "2024-02-29",
    "2024-02-29 23:59:59.999999",
    "2024-02-29 23:59:59.999999+00",
    "23:59:59.5",
    "1 mon -2 days 03:04:05.6",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    '{"b": [1, null, "ü"], "a": {}}',
    "{1,NULL,-3}",
    '{a,"b,c",NULL,"NULL",""}',
  ],
  [
    "32767",
    "NaN",
    "Infinity",
    "NaN",
    "f",
    "",
    "",
    "",
    "\\x",
    "infinity",
    "-infinity",
    "infinity",
    "00:00:00",
    "00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "null",
    "{}",
    "{}",
  ],
  [
    "0",
    "0.00",
    "-0",
    "1e-300",
    "t",
    "1234567890",
    "12345",
    " ",
    "\\x0a",
    "0044-03-15 BC",
    "0001-01-01 00:00:00",
    "1970-01-01 00:00:00+00",
    "24:00:00",
    "-1 years",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    '"text"',
    "{{1,2},{3,4}}",
    "{{a,b}}",
  ],
  Array.from({ length: 18 }, () => null),
];
/** One for each row, in all three placements. */
const IDS = [1, 2, 101, 201];

let servers: Servers;
let plain: RawClient;
let proxied: RawClient;

beforeAll(async () => {
  servers = await startServers();
  await servers.reset();
  [plain, proxied] = [await servers.connectPlain(), await servers.proxy.connect()];
});
afterAll(async () => {
  await plain.close();
  await proxied.close();
  await servers[Symbol.asyncDispose]();
});

const PARAMETERS = Array.from({ length: 19 }, (_, index) => `$${index + 1}`).join(", ");
const INSERT = `INSERT INTO things (id, ${COLUMNS}) VALUES (${PARAMETERS})`;

function insert(id: number, values: readonly Value[]): Parameters<typeof converse>[1] {
  return [
    parse("", INSERT),
    describeMessage("S", ""),
    bind("", "", [String(id), ...values]),
    execute(),
    sync(),
  ];
}

const select = (formats: readonly (0 | 1)[], where: string): Parameters<typeof converse>[1] => [
  parse("", `SELECT ${COLUMNS} FROM things ${where} ORDER BY id`),
  bind("", "", [], formats),
  describeMessage("P", ""),
  execute(),
  sync(),
];

describe("values", () => {
  test("as text go in alike", async () => {
    for (const [index, row] of ROWS.entries()) {
      const script = insert(IDS[index] ?? 0, row);
      const said = await converse(plain, script);
      expect(said).toContain("CommandComplete INSERT 0 1");
      expect(await converse(proxied, script)).toEqual(said);
    }
  });

  test.each([
    ["text", [0]],
    ["binary", [1]],
    ["mixed", Array.from({ length: 18 }, (_, index) => index % 2)],
  ] as const)("as %s come out alike", async (_, formats) => {
    for (const where of ["", "WHERE id = 101", "WHERE id IN (1, 2)", "WHERE id > 100"]) {
      const script = select(formats as readonly (0 | 1)[], where);
      const said = await converse(plain, script);
      expect(said.at(-2)).toMatch(/^CommandComplete SELECT [1-4]$/);
      expect(await converse(proxied, script)).toEqual(said);
    }
  });

  test("in binary go in alike", async () => {
    const rows = await binaryRows();
    for (const [index, row] of rows.entries()) {
      const script = insert((IDS[index] ?? 0) + 10, row);
      const said = await converse(plain, script);
      expect(said).toContain("CommandComplete INSERT 0 1");
      expect(await converse(proxied, script)).toEqual(said);
    }
    const script = select([0], "");
    expect(await converse(proxied, script)).toEqual(await converse(plain, script));
  });
});

async function binaryRows(): Promise<readonly (readonly Value[])[]> {
  const said = select([1], "").flat();
  const bytes = Buffer.concat(said.map((each) => each.bytes));
  const { messages } = await plain.exchange(bytes);
  return messages.filter(({ type }) => type === "D").map(({ body }) => readRow(body));
}
