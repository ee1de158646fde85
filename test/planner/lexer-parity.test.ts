/** The lexer against PostgreSQL's own scanner, which the SQL parser's package also carries. */
import fc from "fast-check";
import { loadModule, scanSync, type ScanToken } from "libpg-query";
import { beforeAll, expect, test } from "vitest";
import { tokenize } from "../../planner/lexer.ts";

beforeAll(loadModule);

/** Each begins, ends or hides inside some kind of token. */
const PARTS = [
  "'",
  '"',
  "E'",
  "e'",
  "U&'",
  'u&"',
  "N'",
  "B'",
  "x'",
  "\\",
  "\\'",
  "''",
  "$$",
  "$a$",
  "$",
  "$1",
  "$2x",
  "--",
  "/*",
  "*/",
  "\n",
  "\r",
  " ",
  "\t",
  "a",
  "ab",
  "select",
  "UESCAPE",
  "é",
  "😀",
  "_",
  "1",
  "12",
  "1.",
  "..",
  ".",
  "e5",
  "0x1F",
  "0b1",
  "0o7",
  "1_0",
  "1__0",
  "(",
  ")",
  "[",
  "]",
  "{",
  "}",
  ";",
  ",",
  ":",
  "::",
  ":=",
  "+",
  "-",
  "*",
  "/",
  "<",
  ">",
  "=",
  "@",
  "?",
  "|",
  "~",
  "!",
  "#",
  "%",
  "^",
  "&",
  "`",
];

const COMMENT_IN_STRING = /'\s*--[^\n\r]*[\n\r](?:\s|--[^\n\r]*[\n\r])*'/;

/** Undefined where the scanner refuses the text. */
function scanned(sql: string): readonly string[] | undefined {
  const bytes = Buffer.from(sql);
  let tokens: readonly ScanToken[];
  try {
    ({ tokens } = scanSync(sql));
  } catch {
    return undefined;
  }
  return tokens
    .filter(({ tokenName }) => tokenName !== "SQL_COMMENT" && tokenName !== "C_COMMENT")
    .map(({ start, end }) => bytes.subarray(start, end).toString());
}

test("cuts every text where PostgreSQL does, and calls invalid what PostgreSQL refuses", () => {
  const text = fc.array(fc.constantFrom(...PARTS), { minLength: 1, maxLength: 9 });
  let accepted = 0;
  fc.assert(
    fc.property(text, (parts) => {
      const sql = parts.join("");
      // The scanner that is compared with gives comments as tokens, so that none is within a string; PostgreSQL's own goes on.
      fc.pre(!COMMENT_IN_STRING.test(sql));
      const tokens = tokenize(sql);
      const expected = scanned(sql);
      // What a string's escapes stand for is the grammar's to judge, and moves no token.
      if (expected === undefined)
        return sql.includes("\\") || tokens.some(({ kind }) => kind === "invalid");
      accepted++;
      expect(tokens.map(({ start, end }) => sql.slice(start, end))).toEqual(expected);
      return true;
    }),
    { numRuns: 20_000 },
  );
  expect(accepted).toBeGreaterThan(5_000);
});
