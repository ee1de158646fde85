/**
 * The same text with other literals, as an application writes it that puts values into its
 * statements: what a proxy remembers of the first must not show in the second.
 *
 * It finds literals by rules of its own, which know less than a scanner: what they take for a literal
 * in a quoted name or a comment is changed as well, on both sides alike.
 */
import type { Random } from "./random.ts";

/** A plain string, or a number that is no part of a name, a parameter or a type's modifiers. */
const LITERAL = /'(?:[^'\\]|'')*'|(?<![\w$.'"\\]|\w[(](?:[0-9]+,)?)[0-9]+(?:[.][0-9]+)?(?![\w.])/g;

/** A setting that is another stays where it is set, longer than the step. */
const SETTING = /^\W*SET\b|\bset_config\b/i;

/** Other literals could leave the order of its rows open, or which of them are given. */
const ORDERED = /\b(ORDER|GROUP|LIMIT|OFFSET|FETCH|DISTINCT|OVER|RECURSIVE)\b/i;

const WHOLE = ["0", "1", "2", "3", "5", "7", "10", "42", "99", "100", "32768", "2147483648"];
const DECIMAL = ["0.0", "0.5", "1.0", "2.50", "99.99", "7.000"];
const STRINGS = ["", "a", "b", "zebra", "Ä", "1", "7", "2.5", "50%", "''", "two\nlines"];

/** Whether it may be asked again with other literals. */
export function isRepeatable(sql: string): boolean {
  return !ORDERED.test(sql) && !SETTING.test(sql) && sql.search(LITERAL) >= 0;
}

/** About half of the literals are others. */
export function withOtherLiterals(random: Random, sql: string): string {
  return sql.replaceAll(LITERAL, (literal) => {
    if (random.chance(45)) return literal;
    if (literal.startsWith("'")) return `'${random.pick(STRINGS)}'`;
    if (random.chance(8)) return `'${random.pick(WHOLE)}'`;
    const isDecimal = literal.includes(".");
    return random.pick(isDecimal !== random.chance(8) ? DECIMAL : WHOLE);
  });
}
