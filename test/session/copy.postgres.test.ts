/** COPY, message for message as PostgreSQL answers it. */
import { comparing } from "./comparing.ts";
import { COPY } from "./scripts-copy.ts";

comparing("COPY", COPY);
