import { readFileSync } from "node:fs";
import pg from "pg";
const client = new pg.Client({ ssl: { ca: readFileSync(process.env["PGSSLROOTCERT"] ?? "") } });
await client.connect();
const { rows } = await client.query("SELECT count(*), version() FROM accounts");
console.error(rows);
await client.end();
console.log(JSON.stringify({ check: "connect", outcome: "passed" }));
