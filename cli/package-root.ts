/** Where this package stands, be it a clone (`cli/`) or an installed package (`dist/cli/`). */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { invariant } from "../base/invariant.ts";

/** The absolute path of a file of the package. */
export function packageFile(...path: readonly string[]): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json"))) {
    const parent = dirname(directory);
    invariant(parent !== directory, "the program stands in its package");
    directory = parent;
  }
  return join(directory, ...path);
}

export function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(packageFile("package.json"), "utf8"));
  return (manifest as { readonly version: string }).version;
}
