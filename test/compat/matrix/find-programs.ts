/** The matrix's programs: one folder each. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../../tidy/sources.ts";
import type { CompatProgram } from "./compat-program.ts";
import type { FoundProgram } from "./run-program.ts";

const PROGRAMS = join(ROOT, "test", "compat", "matrix", "programs");

/** All, or those of the given folders, in the order of the alphabet. */
export async function findPrograms(only?: readonly string[]): Promise<readonly FoundProgram[]> {
  const entries = await readdir(PROGRAMS, { withFileTypes: true });
  const folders = entries.filter((each) => each.isDirectory()).map(({ name }) => name);
  const unknown = only?.filter((name) => !folders.includes(name)) ?? [];
  if (unknown.length > 0) throw new RangeError(`no such program: ${unknown.join(", ")}`);
  const chosen = folders.filter((folder) => only === undefined || only.includes(folder));
  return await Promise.all(
    chosen.toSorted().map(async (folder): Promise<FoundProgram> => {
      const module = (await import(join(PROGRAMS, folder, "program.ts"))) as {
        readonly program: CompatProgram;
      };
      return { folder, program: module.program };
    }),
  );
}
