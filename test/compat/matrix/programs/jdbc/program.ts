/** pgjdbc, in its query modes and with the settings that change what it sends. */
import type { CompatProgram } from "../../compat-program.ts";
import { javaProgram } from "../../java/java-program.ts";

export const program: CompatProgram = javaProgram({
  name: "PostgreSQL JDBC Driver",
  package: "jdbc",
  artifact: "postgresql",
  extraChecks: {
    "query-modes":
      "preferQueryMode: simple, extended, extendedForPrepared, extendedCacheEverything; several results of one text",
    "prepare-threshold":
      "prepareThreshold 0, 1 and 5, with and without binaryTransfer, and a small cache",
    "default-row-fetch-size": "defaultRowFetchSize with autocommit off, fixed and adaptive",
    "rewrite-batched-inserts": "reWriteBatchedInserts, committed and rolled back",
    "generated-keys": "the keys of a batch of inserts over all placements",
    autosave: "autosave=always and conservative",
    metadata: "DatabaseMetaData and ResultSetMetaData",
    updatable: "result sets that scroll, update, insert and delete",
    "channel-binding": "SCRAM-SHA-256-PLUS, required",
  },
});
