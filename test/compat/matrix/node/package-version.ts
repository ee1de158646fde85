/** Versions of the packages that this repository installs. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../../../tidy/sources.ts";

export async function packageVersion(name: string): Promise<string> {
  const file = join(ROOT, "node_modules", name, "package.json");
  return String((JSON.parse(await readFile(file, "utf8")) as { version: unknown }).version);
}
