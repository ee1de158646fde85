/** lib/pq, beneath Go's database/sql. */
import type { CompatProgram } from "../../compat-program.ts";
import { goProgram } from "../../go/go-program.ts";

export const program: CompatProgram = goProgram({
  name: "lib/pq",
  folder: "libpq",
  module: "github.com/lib/pq",
  extraChecks: {
    "several-statements":
      "several statements in one text: their results, and one implicit transaction",
  },
});
