/** Writes that take rows from other tables, lock them or maintain them, as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { WRITES } from "./scripts-writes.ts";

comparing("writes", WRITES);
