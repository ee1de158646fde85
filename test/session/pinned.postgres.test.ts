/** Sessions that need a backend of their own, message for message as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { ADVISORY_LOCKS, TEMPORARY } from "./scripts-pinned.ts";

comparing("advisory locks", ADVISORY_LOCKS);
comparing("temporary objects", TEMPORARY);
