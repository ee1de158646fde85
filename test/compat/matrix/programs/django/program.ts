/** Django over psycopg 3: its migrations, its ORM, its introspection. */
import type { CompatProgram } from "../../compat-program.ts";
import { pythonProgram } from "../../python/virtual-environment.ts";

export const program: CompatProgram = pythonProgram({
  name: "Django",
  folder: "django",
  distribution: "Django",
  checks: ["connect", "transactions", "errors", "reconnect"],
  extraChecks: {
    migrate: "the migrations of auth, contenttypes and sessions, and the tables they make",
    orm: "create, bulk_create, filter, F(), aggregate, annotate, select_for_update, get_or_create",
    iterator: "querysets by server-side cursors (iterator)",
    inspectdb: "models written from the catalog",
    users: "users, groups and permissions, through their relations",
  },
});
