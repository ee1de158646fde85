/** psqlODBC under unixODBC, through pyodbc. */
import { access } from "node:fs/promises";
import type { CompatProgram } from "../../compat-program.ts";
import { pythonProgram } from "../../python/virtual-environment.ts";

/** Where Debian and Fedora put it; main.py looks there, too. */
const DRIVERS = [
  "/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so",
  "/usr/lib/aarch64-linux-gnu/odbc/psqlodbcw.so",
  "/usr/lib64/psqlodbcw.so",
];

const inPython = pythonProgram({
  name: "psqlODBC",
  folder: "odbc",
  distribution: "pyodbc",
  extraChecks: {
    "declare-fetch": "UseDeclareFetch=1: every SELECT by a cursor of the server",
    "client-prepares": "UseServerSidePrepare=0: values merged by the driver",
    "statement-rollback":
      "Protocol=7.4-2: a savepoint around each statement, so that an error fails it alone",
    catalog: "SQLTables, SQLColumns, SQLPrimaryKeys, SQLForeignKeys, SQLStatistics",
  },
});

export const program: CompatProgram = {
  ...inPython,
  language: "ODBC",
  setup: async (cacheFolder, signal) => {
    const found = await Promise.all(
      DRIVERS.map((file) =>
        access(file).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (!found.includes(true)) return { missing: "psqlODBC (Debian: odbc-postgresql, unixodbc)" };
    return await inPython.setup(cacheFolder, signal);
  },
};
