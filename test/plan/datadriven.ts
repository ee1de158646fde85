/**
 * Data-driven tests: a file of cases, each a command, its input and the output it must
 * have. `REWRITE=1` writes the outputs anew, and the diff is what is reviewed.
 *
 *     # comment
 *     plan expect=pinByShardKey
 *     SELECT ...
 *     ----
 *     route shardKeys ...
 *
 * A case ends at a blank line. Knows nothing of what the commands mean.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { expect, test } from "vitest";

export interface DataCase {
  readonly command: string;
  /** `name=value` words of the command's line, in order. */
  readonly options: readonly (readonly [string, string])[];
  readonly input: string;
}

export type RunCase = (data: DataCase) => string;

interface ReadCase extends DataCase {
  readonly line: number;
  readonly head: readonly string[];
  readonly expected: string;
}

const SEPARATOR = "----";

export function dataDriven(path: string, run: RunCase): void {
  if (process.env["REWRITE"] === "1") rewrite(path, run);
  const { cases } = readCases(readFileSync(path, "utf8"));
  const file = basename(path);
  for (const data of cases) {
    test(`${file}:${data.line} ${data.input.slice(0, 60)}`, () => {
      expect(run(data)).toBe(data.expected);
    });
  }
}

function rewrite(path: string, run: RunCase): void {
  const { cases, tail } = readCases(readFileSync(path, "utf8"));
  const texts = cases.map((data) => [...data.head, SEPARATOR, rewritten(data, run)].join("\n"));
  writeFileSync(path, `${texts.join("\n\n")}\n${tail}`);
}

/** A case that fails by itself is marked, so that a rewrite never hides it. */
function rewritten(data: DataCase, run: RunCase): string {
  try {
    return run(data);
  } catch (error) {
    return `FAILED ${String(error)}`;
  }
}

function readCases(text: string): { readonly cases: readonly ReadCase[]; readonly tail: string } {
  const lines = text.split("\n");
  const cases: ReadCase[] = [];
  let head: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line !== SEPARATOR) {
      head.push(line);
      continue;
    }
    const expected: string[] = [];
    for (at += 1; at < lines.length && lines[at] !== ""; at++) expected.push(lines[at] ?? "");
    cases.push({
      ...readHead(head),
      line: at - expected.length,
      head,
      expected: expected.join("\n"),
    });
    head = [];
  }
  return { cases, tail: head.join("\n") };
}

function readHead(head: readonly string[]): DataCase {
  const body = head.filter((line) => line !== "" && !line.startsWith("#"));
  const [first = "", ...input] = body;
  const [command = "", ...words] = first.split(" ");
  const options = words.map((word): readonly [string, string] => {
    const at = word.indexOf("=");
    return [word.slice(0, at), word.slice(at + 1)];
  });
  return { command, options, input: input.join("\n") };
}
