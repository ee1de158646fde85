/** Damages protocol bytes and SQL texts, seeded. */
import type { Random } from "../differential/random.ts";

/** One frame, as bytes that are nearly right. */
export function mutateFrame(frame: Buffer, others: readonly Buffer[], random: Random): Buffer {
  const bytes = Buffer.from(frame);
  const at = random.integer(0, Math.max(bytes.length - 1, 0));
  switch (random.integer(0, 9)) {
    case 0:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.integer(0, 7));
      return bytes;
    case 1:
      bytes[at] = random.integer(0, 255);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([
        bytes.subarray(0, at),
        randomBytes(random, random.integer(1, 20)),
        bytes.subarray(at),
      ]);
    case 4:
      return withLength(
        bytes,
        random.pick([
          0,
          1,
          3,
          4,
          5,
          bytes.length,
          bytes.length + 1,
          0x7fff_ffff,
          0xffff_ffff,
          1 << 26,
        ]),
      );
    case 5:
      return Buffer.concat([bytes.subarray(0, at), random.pick(others)]);
    case 6:
      bytes[0] = random.integer(0, 255);
      return bytes;
    case 7:
      return withLength(
        Buffer.concat([bytes, randomBytes(random, random.integer(1, 40))]),
        bytes.length,
      );
    case 8: {
      // Whole again after the damage: what is inside is wrong, not the frame.
      const body = bytes.subarray(5);
      for (let count = random.integer(1, 4); count > 0 && body.length > 0; count--)
        body[random.integer(0, body.length - 1)] = random.integer(0, 255);
      return bytes;
    }
    default: {
      const cut = bytes.subarray(0, Math.max(at, 5));
      return cut.length < 5 ? cut : withLength(cut, cut.length - 1);
    }
  }
}

function withLength(bytes: Buffer, length: number): Buffer {
  const changed = Buffer.from(bytes);
  if (changed.length >= 5) changed.writeUInt32BE(length >>> 0, 1);
  return changed;
}

export function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.integer(0, 255)));
}

const FRAGMENTS = [
  "(",
  ")",
  "((",
  "))",
  ",",
  ";",
  "'",
  '"',
  "$$",
  "$1",
  "$99999",
  "--",
  "/*",
  "*/",
  "::",
  ":",
  ".",
  "..",
  "*",
  "=",
  "<>",
  "[",
  "]",
  "SELECT",
  "FROM",
  "WHERE",
  "AND",
  "OR",
  "NOT",
  "NULL",
  "IN",
  "ANY",
  "ARRAY[",
  "CASE WHEN",
  "END",
  "UNION",
  "WITH x AS (",
  "VALUES",
  "ON CONFLICT",
  "RETURNING *",
  "GROUP BY 1",
  "ORDER BY 1",
  "LIMIT 1",
  "OFFSET -1",
  "JOIN",
  "LATERAL",
  "E'\\x'",
  "U&'\\0041'",
  "B'1'",
  "X'ff'",
  "1e999",
  "0x1F",
  "1_000",
  "99999999999999999999999",
  "-9223372036854775808",
  "'\u{1F600}'",
  "\u00e9",
  "\t",
  "\n",
  "users",
  "orders",
  "id",
  "user_id",
  "public.",
  "AS",
];

/** Cuts, doubles, swaps and replaces tokens and characters. */
export function mutateSql(sql: string, others: readonly string[], random: Random): string {
  let tokens = sql.split(/(\s+|[(),;])/);
  for (let count = random.pick([1, 1, 1, 2, 3]); count > 0; count--) {
    const at = random.integer(0, Math.max(tokens.length - 1, 0));
    switch (random.integer(0, 7)) {
      case 0:
        tokens.splice(at, 1);
        break;
      case 1:
        tokens.splice(at, 0, tokens[at] ?? "");
        break;
      case 2:
        tokens[at] = random.pick(FRAGMENTS);
        break;
      case 3:
        tokens.splice(at, 0, ` ${random.pick(FRAGMENTS)} `);
        break;
      case 4: {
        const other = random.integer(0, Math.max(tokens.length - 1, 0));
        [tokens[at], tokens[other]] = [tokens[other] ?? "", tokens[at] ?? ""];
        break;
      }
      case 5:
        tokens = tokens.slice(0, at);
        break;
      case 6:
        tokens.push(" ", random.pick(others));
        break;
      default: {
        const token = tokens[at] ?? "";
        const cut = random.integer(0, token.length);
        tokens[at] =
          token.slice(0, cut) + String.fromCodePoint(random.integer(1, 0x2fff)) + token.slice(cut);
      }
    }
  }
  return tokens.join("").replaceAll("\0", "");
}
