/** Cursors of SQL, message for message as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { CURSORS } from "./scripts-cursors.ts";

comparing("cursors", CURSORS);
