/** Prepared statements of SQL, message for message as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { SQL_PREPARED } from "./scripts-prepared.ts";

comparing("PREPARE and EXECUTE", SQL_PREPARED);
