/** LISTEN and NOTIFY, message for message as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { NOTIFY } from "./scripts-notify.ts";

comparing("LISTEN and NOTIFY", NOTIFY);
