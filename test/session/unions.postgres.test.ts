/** Several placements of one database, which one statement asks, message for message as PostgreSQL answers. */
import { comparing } from "./comparing.ts";
import { UNIONS } from "./scripts-unions.ts";

comparing("placements of one database", UNIONS);
