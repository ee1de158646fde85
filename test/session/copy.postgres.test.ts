/** COPY, message for message as PostgreSQL answers it. */
import { comparing } from "./comparing.ts";
import { COPY } from "./scripts-copy.ts";
import { COPY_OPTIONS } from "./scripts-copy-options.ts";

comparing("COPY", { ...COPY, ...COPY_OPTIONS });
