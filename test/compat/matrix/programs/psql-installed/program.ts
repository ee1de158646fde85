import type { CompatProgram } from "../../compat-program.ts";
import { installedPsql } from "../../psql/psql-program.ts";

export const program: CompatProgram = installedPsql();
