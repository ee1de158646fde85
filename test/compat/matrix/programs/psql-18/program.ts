import type { CompatProgram } from "../../compat-program.ts";
import { psql18 } from "../../psql/psql-program.ts";

export const program: CompatProgram = psql18();
