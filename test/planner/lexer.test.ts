import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tokenize } from "../../planner/lexer.ts";

/** `kind:text` of each token. */
function tokens(sql: string): readonly string[] {
  return tokenize(sql).map(({ kind, start, end }) => `${kind}:${sql.slice(start, end)}`);
}

describe("lexer", () => {
  test.each<readonly [string, readonly string[]]>([
    ["a 'it''s' b", ["word:a", "string:'it''s'", "word:b"]],
    ["'a\\' b", ["string:'a\\'", "word:b"]],
    ["E'a\\'b' c", ["string:E'a\\'b'", "word:c"]],
    ["e'\\\\'", ["string:e'\\\\'"]],
    ["U&'d!0061' UESCAPE '!'", ["string:U&'d!0061'", "word:UESCAPE", "string:'!'"]],
    ['U&"d\\0061" "a""b"', ['quoted:U&"d\\0061"', 'quoted:"a""b"']],
    ["B'01' x'fF' N'n'", ["string:B'01'", "string:x'fF'", "word:N", "string:'n'"]],
    ["'a'\n  'b'", ["string:'a'\n  'b'"]],
    ["'a' -- c\n 'b'", ["string:'a' -- c\n 'b'"]],
    ["E'a'\n'\\'b'", ["string:E'a'\n'\\'b'"]],
    ["'a' 'b'", ["string:'a'", "string:'b'"]],
    ["'a' /*\n*/ 'b'", ["string:'a'", "string:'b'"]],
    ["$$a'b$$ $t$ $$ $t$", ["string:$$a'b$$", "string:$t$ $$ $t$"]],
    ["a$b$ $1 $12", ["word:a$b$", "parameter:$1", "parameter:$12"]],
    [
      "x'a''b' 1_0$1 1e5$1 1.5$1",
      ["string:x'a'", "string:'b'", "invalid:1_0$1", "invalid:1e5$1", "number:1.5", "parameter:$1"],
    ],
    ["$1a", ["parameter:$1", "word:a"]],
    ["a/* x /* y */ z */b", ["word:a", "word:b"]],
    ["a--b\nc", ["word:a", "word:c"]],
    [
      "1.5 .5 1. 1e-3 1E5 0x1F 0o17 0b11 1_000",
      [
        "number:1.5",
        "number:.5",
        "number:1.",
        "number:1e-3",
        "number:1E5",
        "number:0x1F",
        "number:0o17",
        "number:0b11",
        "number:1_000",
      ],
    ],
    ["1..2", ["number:1", "punctuation:..", "number:2"]],
    ["1a 1e 0x", ["invalid:1a", "invalid:1e", "invalid:0x"]],
    ["a<=-1", ["word:a", "operator:<=", "operator:-", "number:1"]],
    ["a @- b", ["word:a", "operator:@-", "word:b"]],
    ["a*--c\n-b", ["word:a", "operator:*", "operator:-", "word:b"]],
    ["a+/*c*/b", ["word:a", "operator:+", "word:b"]],
    [
      "a::int[1:2]",
      [
        "word:a",
        "operator:::",
        "word:int",
        "punctuation:[",
        "number:1",
        "punctuation::",
        "number:2",
        "punctuation:]",
      ],
    ],
    [
      "f(a => 1, b := 2);",
      [
        "word:f",
        "punctuation:(",
        "word:a",
        "operator:=>",
        "number:1",
        "punctuation:,",
        "word:b",
        "operator::=",
        "number:2",
        "punctuation:)",
        "punctuation:;",
      ],
    ],
    ["tëst 表1 \u00a0x", ["word:tëst", "word:表1", "word:\u00a0x"]],
    ["'a", ["invalid:'a"]],
    ["/* a", ["invalid:/* a"]],
    ['""', ['invalid:""']],
    ["$t$ a", ["invalid:$t$ a"]],
    ["{", ["invalid:{"]],
    ["", []],
    [" -- only", []],
  ])("%j", (sql, expected) => {
    expect(tokens(sql)).toEqual(expected);
  });

  test("tokens lie in order, do not overlap and leave nothing but blanks and comments between", () => {
    const text = fc.array(
      fc.constantFrom(
        "'",
        '"',
        "E'",
        "\\",
        "$$",
        "$a$",
        "--",
        "/*",
        "*/",
        "\n",
        " ",
        "a",
        "1",
        ".",
        "é",
        "😀",
        "(",
        ";",
        "+",
        "@",
        "U&",
        "x'",
      ),
      { maxLength: 30 },
    );
    fc.assert(
      fc.property(text, (parts) => {
        const sql = parts.join("");
        let end = 0;
        for (const token of tokenize(sql)) {
          expect(token.start).toBeGreaterThanOrEqual(end);
          expect(token.end).toBeGreaterThan(token.start);
          expect(sql.slice(end, token.start)).toMatch(/^(?:\s|--[^\n]*(?:\n|$)|\/\*[^]*\*\/)*$/);
          end = token.end;
        }
        expect(end).toBeLessThanOrEqual(sql.length);
      }),
      { numRuns: 2_000 },
    );
  });
});
