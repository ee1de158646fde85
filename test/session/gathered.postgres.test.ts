/** Statements that the catalog database finishes, message for message as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { GATHERED } from "./scripts-gathered.ts";

comparing("gathered in a database", GATHERED);
