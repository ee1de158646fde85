/** Sessions that need a backend of their own, message for message as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { ADVISORY_LOCKS, SESSION_VALUES, TEMPORARY } from "./scripts-pinned.ts";

comparing("advisory locks", ADVISORY_LOCKS);
comparing("temporary objects", TEMPORARY);
comparing("values of the session", SESSION_VALUES);
