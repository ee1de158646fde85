/** Workers of one address in a fleet: each is a proxy of its own, with its own row and lease. */
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listProxies } from "../../control/fleet-state.ts";
import { startFleet } from "./fleet-servers.ts";
import type { Fleet, FleetProxy } from "./fleet-servers.ts";

let fleet: Fleet;
let proxy: FleetProxy;

beforeAll(async () => {
  fleet = await startFleet([{ log: { level: "info" }, console: { admin_users: ["postgres"] } }], 2);
  [proxy] = fleet.proxies as [FleetProxy];
});
afterAll(() => fleet?.stop());

/** Their processes. */
async function members(): Promise<readonly number[]> {
  const all = await listProxies(fleet.database);
  expect(new Set(all.map(({ address }) => address))).toEqual(new Set([`127.0.0.1:${proxy.port}`]));
  return all.map(({ processId }) => processId).toSorted((left, right) => left - right);
}

test("each worker joins, follows the map, and one that is started again joins anew", async () => {
  await expect.poll(async () => await members(), { timeout: 20_000 }).toHaveLength(2);
  const before = await members();
  await fleet.publish(2);
  await expect.poll(() => proxy.metric("colonnade_map_version"), { timeout: 20_000 }).toBe(2);
  expect(await proxy.metric("colonnade_workers")).toBe(2);
  const [dead] = before as [number];
  process.kill(dead, "SIGKILL");
  // The dead one's lease has to run out before its row may go.
  await expect
    .poll(async () => (await members()).filter((each) => !before.includes(each)), {
      timeout: 20_000,
    })
    .toHaveLength(1);
  await expect.poll(() => proxy.metric("colonnade_workers"), { timeout: 20_000 }).toBe(2);
  expect(await proxy.metric("colonnade_map_version")).toBe(2);
  const client = await proxy.connect();
  const [key] = fleet.east;
  const { rows } = await client.query("SELECT name FROM users WHERE id = $1", [key]);
  expect(rows).toEqual([{ name: "old" }]);
  await client.end();
});

test("DDL through a worker, or through another proxy, is there in each worker", async () => {
  const alone = await fleet.join("beside", {});
  const makers = await Promise.all([proxy.connect(), alone.connect()]);
  // One for each worker: connections are handed out in turn.
  const readers = await Promise.all([proxy.connect(), proxy.connect()]);
  await makers[0]?.query("CREATE VIEW recent AS SELECT id FROM users WHERE id < 1");
  for (let bound = 1; bound <= 6; bound++) {
    const sql = `CREATE OR REPLACE VIEW recent AS SELECT id FROM users WHERE id <= ${bound}`;
    await makers[bound % 2]?.query(sql);
    const seen = await Promise.all(
      [...readers, ...makers].map((client) =>
        client.query("SELECT count(*)::int AS n FROM recent"),
      ),
    );
    expect(seen.map(({ rows }) => rows[0])).toEqual(seen.map(() => ({ n: bound })));
  }
  await Promise.all([...makers, ...readers].map((client) => client.end()));
});

test("RELOAD is answered once every worker serves what is published, and refused as the first that cannot", async () => {
  const console = new pg.Client({
    host: "127.0.0.1",
    port: proxy.port,
    user: "postgres",
    database: "colonnade",
  });
  await console.connect();
  // The row of the one that was killed stays as it was.
  const serving = async (version: number): Promise<number> =>
    (await listProxies(fleet.database)).filter(
      ({ address, mapVersion }) => address.endsWith(`:${proxy.port}`) && mapVersion === version,
    ).length;
  await fleet.publish(3);
  await console.query("RELOAD");
  expect(await serving(3)).toBe(2);
  proxy.command.child.kill("SIGHUP");
  await proxy.command.untilPrinted("SIGHUP: the map that the control schema names is in force");
  await fleet.database.query(
    `INSERT INTO colonnade.map VALUES (4, 'version: none', 'a mistake', now(), '[]', '{}');
     UPDATE colonnade.control SET map_version = 4, revision = revision + 1`,
  );
  await expect(console.query("RELOAD")).rejects.toThrow("version 4 of the shard map has mistakes");
  expect(await serving(3)).toBe(2);
  proxy.command.child.kill("SIGHUP");
  await proxy.command.untilPrinted("SIGHUP: the old shard map stays");
  await console.end();
});
