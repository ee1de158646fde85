/**
 * Differences between what PostgreSQL and the proxy say that are known and meant, each with its
 * reason. A difference that is not among them, and one that no longer is one, are both found.
 */
import { parse } from "yaml";
import type { Passage } from "./transcript.ts";

export interface Difference {
  readonly file: string;
  /** The map with everything in one placement, the one with several, or both. */
  readonly map: "one" | "several" | "both";
  /** The chunk; all of that text in the file, where they are alike. */
  readonly text: string;
  readonly because: string;
  /** What only PostgreSQL says, and what the proxy says instead. */
  readonly plain: readonly string[];
  readonly proxied: readonly string[];
}

export function readDifferences(yaml: string): readonly Difference[] {
  return parse(yaml) as readonly Difference[];
}

/** What differs between two transcripts, of which all chunks are the same. */
export function differencesBetween(
  file: string,
  map: "one" | "several",
  plain: readonly Passage[],
  proxied: readonly Passage[],
): readonly Omit<Difference, "because">[] {
  return plain.flatMap(({ text, lines }, index) => {
    const others = proxied[index]?.lines ?? [];
    if (lines.join("\n") === others.join("\n")) return [];
    return [{ file, map, text, plain: without(lines, others), proxied: without(others, lines) }];
  });
}

/** Lines that the other has not; all of them where only the order differs. */
function without(lines: readonly string[], others: readonly string[]): readonly string[] {
  const rest = [...others];
  const left = lines.filter((line) => {
    const at = rest.indexOf(line);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
  return left.length === 0 && rest.length === 0 ? lines : left;
}

export function isListed(
  found: Omit<Difference, "because">,
  { file, map, text, plain, proxied }: Difference,
): boolean {
  return (
    found.file === file &&
    (map === "both" || found.map === map) &&
    found.text === text &&
    found.plain.join("\n") === plain.join("\n") &&
    found.proxied.join("\n") === proxied.join("\n")
  );
}
