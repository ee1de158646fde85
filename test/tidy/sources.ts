/** The repository's own source files, as the tidy tests read them. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export interface SourceFile {
  /** From the root, with slashes: `planner/parse.ts`. */
  readonly path: string;
  readonly text: string;
}

/** The areas of ARCHITECTURE.md, in its order. */
export const AREAS = [
  "base",
  "shardmap",
  "planner",
  "proxy",
  "control",
  "migration",
  "cli",
  "test",
  "bench",
];

/** Everything git knows or would add, so that a file that is new is checked too. */
export function repositoryFiles(): readonly string[] {
  const flags = ["ls-files", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", flags, { cwd: ROOT, maxBuffer: 1 << 26 }).toString();
  return [...new Set(listed.split("\n"))].filter(
    (path) => path !== "" && existsSync(join(ROOT, path)),
  );
}

export function sourceFiles(): readonly SourceFile[] {
  return repositoryFiles()
    .filter((path) => path.endsWith(".ts") && AREAS.includes(path.split("/")[0] ?? ""))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

export interface ImportStatement {
  readonly from: string;
  /** Of ours: the path from the root. Of others: the package's name. */
  readonly to: string;
  readonly isOurs: boolean;
  readonly isTypeOnly: boolean;
}

const IMPORT =
  /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\s+from\s+)?"([^"]+)"|import\("([^"]+)"\)/g;

export function importsOf({ path, text }: SourceFile): readonly ImportStatement[] {
  return [...text.matchAll(IMPORT)].map((match) => {
    const specifier = match[2] ?? match[3] ?? "";
    const isOurs = specifier.startsWith(".");
    const to = isOurs ? relative(ROOT, join(ROOT, dirname(path), specifier)) : specifier;
    return { from: path, to, isOurs, isTypeOnly: match[1] !== undefined };
  });
}
