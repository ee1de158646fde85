/**
 * Where functions begin and end, told by the formatter's layout: a declaration or method
 * that opens a block ends at the first line that closes it on the same indentation. No
 * parser is needed as long as `npm run check:format` passes.
 */
import type { SourceFile } from "./sources.ts";

export interface FunctionSize {
  readonly name: string;
  readonly lines: number;
}

const DECLARATION =
  /^( *)(?:export )?(?:async )?function\*? (\w+)|^( +)(?:static |override |async |get |set |\*)*(#?\w+)(?:<[^(]*>)?\((?!.*\);$)/;
const NOT_A_NAME = /^(?:if|for|while|switch|return|catch|await|throw|typeof|expect|test|function)$/;

export function functionsOf({ text }: SourceFile): readonly FunctionSize[] {
  const lines = text.split("\n");
  const found: FunctionSize[] = [];
  for (const [index, line] of lines.entries()) {
    const match = DECLARATION.exec(line);
    const name = match?.[2] ?? match?.[4];
    if (match === null || name === undefined || NOT_A_NAME.test(name)) continue;
    const indent = match[1] ?? match[3] ?? "";
    const end = blockEnd(lines, index, indent);
    if (end !== undefined) found.push({ name, lines: end - index + 1 });
  }
  return found;
}

/** The line of the closing brace; undefined where the line opens no block (a call, an overload, a type). */
function blockEnd(lines: readonly string[], start: number, indent: string): number | undefined {
  let opened = false;
  for (let index = start; index < lines.length; index += 1) {
    const line = lines[index] ?? "";
    const isOuter = line.startsWith(indent) && !line.startsWith(`${indent} `);
    if (!opened && isOuter && line.endsWith(";")) return undefined;
    if (
      !opened &&
      isOuter &&
      line.endsWith("{") &&
      (index === start || line.startsWith(`${indent})`))
    )
      opened = true;
    else if (opened && line === `${indent}}`) return index;
    else if (opened && isOuter && /^\s*\}[^ ]/.test(line)) return undefined;
  }
  return undefined;
}
