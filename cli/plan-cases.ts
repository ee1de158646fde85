/**
 * Reads the planner's specification: a file of cases, each a command, its input and the
 * output it must have.
 *
 *     # comment
 *     plan expect=pinByShardKey
 *     SELECT ...
 *     ----
 *     route shardKeys ...
 *
 * A case ends at a blank line. Knows nothing of what the commands mean.
 */

export interface PlanCase {
  readonly command: string;
  /** `name=value` words of the command's line, in order. */
  readonly options: readonly (readonly [string, string])[];
  readonly input: string;
  /** Of the case's first line of output, less one; one-based. */
  readonly line: number;
  /** Everything above the separator, as it stands. */
  readonly head: readonly string[];
  readonly expected: string;
}

export const CASE_SEPARATOR = "----";

/** `tail`: what follows the last case. */
export function readPlanCases(text: string): {
  readonly cases: readonly PlanCase[];
  readonly tail: string;
} {
  const lines = text.split("\n");
  const cases: PlanCase[] = [];
  let head: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (line !== CASE_SEPARATOR) {
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

function readHead(head: readonly string[]): Pick<PlanCase, "command" | "options" | "input"> {
  const body = head.filter((line) => line !== "" && !line.startsWith("#"));
  const [first = "", ...input] = body;
  const [command = "", ...words] = first.split(" ");
  const options = words.map((word): readonly [string, string] => {
    const at = word.indexOf("=");
    return [word.slice(0, at), word.slice(at + 1)];
  });
  return { command, options, input: input.join("\n") };
}
