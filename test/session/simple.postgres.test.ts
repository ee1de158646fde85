/** The simple protocol, message for message as PostgreSQL answers it. */
import { comparing } from "./comparing.ts";
import { SIMPLE } from "./scripts-simple.ts";

comparing("the simple protocol", SIMPLE);
