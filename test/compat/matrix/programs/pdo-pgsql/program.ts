/** PHP's PDO with its driver pgsql, on which Doctrine and Eloquent stand. */
import type { CompatProgram } from "../../compat-program.ts";
import { installedProgram } from "../../installed-program.ts";

export const program: CompatProgram = installedProgram({
  name: "PDO pgsql",
  language: "PHP",
  probe: ["php", "-r", 'extension_loaded("pdo_pgsql") || exit(1); echo phpversion("pdo_pgsql");'],
  missing: "PHP's pdo_pgsql (Debian: php-cli php-pgsql)",
  command: ["php", "main.php"],
  extraChecks: {
    "emulated-prepares":
      "values merged by the client (ATTR_EMULATE_PREPARES), several statements of one text",
    "last-insert-id": "lastInsertId() after an INSERT with an identity column",
  },
});
