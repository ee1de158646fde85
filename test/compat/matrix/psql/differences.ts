/** Meta-commands that print something else through the proxy, and why. */
import { RUNNING } from "./meta-commands.ts";

const SIZES = "sizes are those in the catalog database, which has a part of a sharded table's rows";
const SCHEMA = "the schema `colonnade` holds the record of transactions over several databases";

const BY_BEGINNING: Readonly<Record<string, string>> = {
  "\\copy accounts (id, owner) FROM STDIN CSV":
    "psql before 18 sends the line `\\.` as data, and the proxy refuses it in CSV before it looks at the rows",
  "\\encoding LATIN1": "clients speak UTF-8: rows are split and merged without being converted",
  "\\set ECHO_HIDDEN on": SCHEMA,
  "\\lo_import":
    "large objects' functions come by a message of the protocol that the proxy refuses",
};

export const DIFFERENCES: Readonly<Record<string, string>> = {
  "\\d+": SIZES,
  "\\dt+": SIZES,
  "\\di+": SIZES,
  "\\dn": SCHEMA,
  "\\dn+": SCHEMA,
  "\\dnS": SCHEMA,
  ...Object.fromEntries(
    RUNNING.flatMap((asked) =>
      Object.entries(BY_BEGINNING)
        .filter(([beginning]) => asked.startsWith(beginning))
        .map(([, reason]) => [asked, reason]),
    ),
  ),
};
