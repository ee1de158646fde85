/** Reads `cases/*.sql`: a statement, and whether it must be answered or may be refused. */

export interface Case {
  /** Of the statement, one-based. */
  readonly line: number;
  readonly expected: Expected;
  readonly sql: string;
}

export type Expected =
  | { readonly kind: "equal" }
  /** `id` of base/sql-error.ts, or any. */
  | { readonly kind: "refused"; readonly id: string | undefined }
  /** Either is right: refused today, perhaps answered tomorrow. */
  | { readonly kind: "equal or refused" };

const EXPECTATION = /^-- expect: (equal or refused|equal|refused)(?: ([a-z_]+))?$/;

/** Throws where a block of lines has no expectation or no statement, but for blocks of comments alone. */
export function readCases(text: string): Case[] {
  const cases: Case[] = [];
  let line = 1;
  for (const block of text.split("\n\n")) {
    const lines = block.split("\n");
    const at = lines.findIndex((candidate) => EXPECTATION.test(candidate));
    const sql = lines
      .slice(at + 1)
      .join("\n")
      .trim();
    const isProse = lines.every((candidate) => candidate === "" || candidate.startsWith("--"));
    if (at < 0 ? !isProse : sql === "") throw new Error(`no case in the block at line ${line}`);
    if (at >= 0)
      cases.push({ line: line + at + 1, expected: expectedOf(lines[at] as string), sql });
    line += lines.length + 1;
  }
  return cases;
}

function expectedOf(line: string): Expected {
  const [, kind, id] = EXPECTATION.exec(line) ?? [];
  if (kind === "refused") return { kind, id };
  return { kind: kind === "equal" ? "equal" : "equal or refused" };
}
