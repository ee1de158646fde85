/** COPY where one placement has all rows: it gets the data as it comes. */
import { comparing } from "./comparing.ts";
import type { Case } from "./comparing.ts";
import { query } from "./conversation.ts";
import { copy } from "./copying.ts";
import { COPY } from "./scripts-copy.ts";
import { COPY_OPTIONS } from "./scripts-copy-options.ts";

const FROZEN = "frozen rows of a table that was not";

/** The server sees the client's own statement and its first data, so nothing differs there. */
const { [FROZEN]: frozen, ...others } = { ...COPY, ...COPY_OPTIONS };

const RELAYED: Readonly<Record<string, Case>> = {
  ...others,
  [FROZEN]: { script: frozen?.script ?? [] },
  "a row without a key": {
    script: [
      copy("COPY accounts FROM STDIN", "3\teve\t1\n\\N\tf\t2\n"),
      query("SELECT id FROM accounts ORDER BY id"),
    ],
  },
  "lines of wrong rows, counted over quoted line ends": {
    script: [
      copy("COPY accounts FROM STDIN (FORMAT csv)", '3,"e\nv",1\n4,"f\n\ng"\n'),
      copy("COPY accounts FROM STDIN (FORMAT csv, HEADER match)", "id,nam,balance\n3,e,1\n"),
      query("SELECT id FROM accounts ORDER BY id"),
    ],
  },
};

comparing("COPY into one placement", RELAYED, undefined, "one");
