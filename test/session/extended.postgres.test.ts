/** The extended protocol, message for message as PostgreSQL answers it. */
import { comparing } from "./comparing.ts";
import { EXTENDED } from "./scripts-extended.ts";

comparing("the extended protocol", EXTENDED);
