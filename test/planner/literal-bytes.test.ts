/** The literals of a text are found in its bytes where they are found in its characters, and nowhere else. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { LiteralBytes } from "../../planner/literal-bytes.ts";
import { literalsBetween, shapedText, type LiteralShape } from "../../planner/literal-shape.ts";

const PIECES = ["SELECT ", " FROM größer WHERE id = ", ", ", " = ", ");", " AND n<", "", "-", "1 "];
const NUMBERS = "0 7 42 123456789 007 1234567890 1.5 0.25 1. .5 1..5 1.5.2 1.1234567890".split(" ");
const LITERALS = [...NUMBERS, "'a'", "''", "'it''s'", "'größer 😀'", "'\\'", "'", "x", ""];

function shapeOf(text: string): LiteralShape | undefined {
  return shapedText(text)?.shape;
}

function foundIn(shape: LiteralShape, text: string): readonly string[] | undefined {
  const finder = new LiteralBytes(shape);
  const bytes = Buffer.from(`1'${text}'1`);
  const [start, end] = [2, bytes.length - 2];
  if (!finder.matches(bytes, start, end)) return undefined;
  const { spans } = finder;
  return shape.kinds.map((_, index) =>
    bytes.toString("utf8", spans[2 * index], spans[2 * index + 1]),
  );
}

const piece = fc.constantFrom(...PIECES);
const literal = fc.constantFrom(...LITERALS);
const parts = fc.array(fc.tuple(literal, piece), { maxLength: 4 });

test("as in its characters, of texts of the shape and of others", () => {
  fc.assert(
    fc.property(piece, parts, parts, (first, taught, asked) => {
      const shape = shapeOf(`SELECT 1${first}${taught.flat().join("")}`);
      if (shape === undefined) return;
      const own = shape.pieces.map((each, index) => {
        const [other = ""] = asked[index] ?? [];
        return each + (index < shape.kinds.length ? other : "");
      });
      for (const text of [own.join(""), `SELECT 1${first}${asked.flat().join("")}`])
        expect(foundIn(shape, text)).toEqual(literalsBetween(shape, text));
    }),
    { numRuns: 3_000 },
  );
});

test("in none that is no UTF-8", () => {
  const shape = shapeOf("SELECT 'a' WHERE id = 1") ?? { pieces: [], kinds: [] };
  const finder = new LiteralBytes(shape);
  const text = Buffer.from("SELECT 'ä' WHERE id = 1");
  expect(finder.matches(text, 0, text.length)).toBe(true);
  text[text.indexOf(0xc3)] = 0xff;
  expect(finder.matches(text, 0, text.length)).toBe(false);
});
