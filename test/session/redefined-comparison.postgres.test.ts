/** An operator of a user's that hides PostgreSQL's own: then no condition says where its rows are. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { ErrorId } from "../../base/sql-error.ts";
import { errorsOf } from "./refusing.ts";
import { query } from "./conversation.ts";
import { startServers } from "./servers.ts";

const REDEFINED = "comparison_redefined" satisfies ErrorId;
const SEEN_WITHIN_MS = 15_000;

test("a key compared by an operator that may mean anything is refused", async () => {
  await using servers = await startServers();
  await servers.reset();
  const client = await servers.proxy.connect();
  const sql = "SELECT count(*) FROM accounts WHERE id = 1.0";
  expect(await client.query(sql)).toEqual([["1"]]);
  for (const [server, database] of [
    [servers.first, "main"],
    [servers.second, "east"],
    [servers.second, "west"],
  ] as const) {
    await server.query(
      database,
      `CREATE FUNCTION public.differs(bigint, numeric) RETURNS boolean LANGUAGE sql IMMUTABLE
         AS 'SELECT $1::numeric <> $2';
       CREATE OPERATOR public.= (leftarg = bigint, rightarg = numeric, function = public.differs)`,
    );
  }
  const deadline = Date.now() + SEEN_WITHIN_MS;
  let refused = "";
  while (refused === "" && Date.now() < deadline) {
    await sleep(200);
    const [error] = await errorsOf(client, [query(sql)]);
    refused = error?.["R"] ?? "";
  }
  expect(refused).toBe(REDEFINED);
  client.destroy();
});
