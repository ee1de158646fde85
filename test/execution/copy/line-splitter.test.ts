/** Lines of COPY's data do not depend on where the bytes that bring them are cut. */
import { expect, test } from "vitest";
import { LineSplitter } from "../../../proxy/execution/copy/line-splitter.ts";

type Seen = readonly [text: string, end: number, lines: number, number: number];

/** What each line was, and behind them the error that ended the data, if one did. */
function split(kind: "text" | "csv", chunks: readonly Buffer[]): readonly (Seen | string)[] {
  const quotes = { kind: "csv", quote: 34, escape: 92 } as const;
  const splitter = new LineSplitter(kind === "text" ? { kind } : quotes, "t");
  const seen: (Seen | string)[] = [];
  try {
    for (const chunk of chunks)
      for (const { bytes, end, lines, number } of splitter.push(Buffer.from(chunk)))
        seen.push([bytes.toString("latin1"), end, lines, number]);
    const last = splitter.end();
    if (last !== undefined)
      seen.push([last.bytes.toString("latin1"), last.end, last.lines, last.number]);
  } catch (error) {
    seen.push(String(error));
  }
  return seen;
}

test.each<["text" | "csv", string, readonly (Seen | string)[]]>([
  [
    "text",
    "1\ta\n\n2\tb",
    [
      ["1\ta\n", 3, 1, 1],
      ["\n", 0, 1, 2],
      ["2\tb", 3, 1, 3],
    ],
  ],
  [
    "text",
    "a\\\nb\\\\\nc\\x\\\\\\\nd\n",
    [
      ["a\\\nb\\\\\n", 6, 1, 1],
      ["c\\x\\\\\\\nd\n", 8, 1, 2],
    ],
  ],
  [
    "text",
    "a\\\rb\r\nc\\\r\\\nd\r\n",
    [
      ["a\\\rb\r\n", 4, 1, 1],
      ["c\\\r\\\nd\r\n", 6, 1, 2],
    ],
  ],
  [
    "text",
    "a\rb\r",
    [
      ["a\r", 1, 1, 1],
      ["b\r", 1, 1, 2],
    ],
  ],
  [
    "text",
    "\\xab\nb\rc\n",
    [["\\xab\n", 4, 1, 1], expect.stringContaining("literal carriage return") as string],
  ],
  ["text", "a\r\nb\nc", [["a\r\n", 1, 1, 1], expect.stringContaining("literal newline") as string]],
  [
    "csv",
    '1,"a\n\\"b"\n2,c\n',
    [
      ['1,"a\n\\"b"\n', 9, 1, 1],
      ["2,c\n", 3, 1, 2],
    ],
  ],
  [
    "csv",
    '1\n2,"a\nb"\n3',
    [
      ["1\n", 1, 1, 1],
      ['2,"a\nb"\n', 7, 2, 3],
      ["3", 1, 1, 4],
    ],
  ],
])("%s %j, cut anywhere", (kind, data, expected) => {
  const bytes = Buffer.from(data, "latin1");
  expect(split(kind, [bytes])).toEqual(expected);
  for (let first = 0; first <= bytes.length; first += 1)
    for (let second = first; second <= bytes.length; second += 1) {
      const chunks = [
        bytes.subarray(0, first),
        bytes.subarray(first, second),
        bytes.subarray(second),
      ];
      expect(split(kind, chunks), `cut at ${first} and ${second}`).toEqual(expected);
    }
  expect(
    split(
      kind,
      [...bytes].map((byte) => Buffer.of(byte)),
    ),
  ).toEqual(expected);
});
