/** The time of statements and transactions that run in several databases. */
import { comparing } from "./comparing.ts";
import { CLOCK_CASES } from "./scripts-clock.ts";

const DEFAULTS =
  "ALTER TABLE things ALTER instant SET DEFAULT now(), ALTER moment SET DEFAULT LOCALTIMESTAMP + interval '1 day'";

comparing("the clock", CLOCK_CASES, async (servers) => {
  for (const connect of [servers.connectPlain(), servers.proxy.connect()]) {
    const client = await connect;
    await client.query(DEFAULTS);
    await client.close();
  }
});
