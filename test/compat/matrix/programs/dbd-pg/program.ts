/** Perl's DBI with DBD::Pg. */
import type { CompatProgram } from "../../compat-program.ts";
import { installedProgram } from "../../installed-program.ts";

export const program: CompatProgram = installedProgram({
  name: "DBD::Pg",
  language: "Perl",
  probe: ["perl", "-MDBD::Pg", "-e", "print $DBD::Pg::VERSION"],
  missing: "Perl's DBD::Pg (Debian: libdbd-pg-perl)",
  command: ["perl", "main.pl"],
  extraChecks: {
    metadata:
      "table_info, column_info, primary_key_info and foreign_key_info, read from the catalog",
    "last-insert-id": "last_insert_id after an INSERT with an identity column",
  },
});
