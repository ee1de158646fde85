/** Cursors of SQL, message for message as PostgreSQL answers them. */
import { comparing } from "./comparing.ts";
import { CURSOR_LIVES } from "./scripts-cursor-lives.ts";
import { CURSORS } from "./scripts-cursors.ts";

comparing("cursors", { ...CURSORS, ...CURSOR_LIVES });
