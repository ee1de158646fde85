/**
 * Tables and maps that are newer than what a proxy of the fleet knows: an empty table of the catalog
 * database must never be taken for one whose rows a newer map, or a newer catalog, has elsewhere.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFleet } from "./fleet-servers.ts";
import type { Fleet } from "./fleet-servers.ts";

const FOLLOWED_WITHIN_MS = 15_000;

let fleet: Fleet;
let first: pg.Client;
let second: pg.Client;

beforeAll(async () => {
  fleet = await startFleet([{}, {}]);
  [first, second] = (await Promise.all(fleet.proxies.map((proxy) => proxy.connect()))) as [
    pg.Client,
    pg.Client,
  ];
});
afterAll(async () => {
  await first.end();
  await second.end();
  await fleet.stop();
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + FOLLOWED_WITHIN_MS;
  while (!(await isSo())) {
    expect(performance.now()).toBeLessThan(end);
    await sleep(20);
  }
}

const servesVersion = (version: number) => async () =>
  (await Promise.all(fleet.proxies.map((proxy) => proxy.metric("colonnade_map_version")))).every(
    (served) => served === version,
  );

test("DDL that was planned for an older map does not commit", async () => {
  await first.query("BEGIN");
  await first.query("CREATE TABLE more0 (user_id bigint PRIMARY KEY, v text)");
  await first.query("INSERT INTO more0 VALUES (1, 'nowhere')");
  await fleet.publish(2);
  await expect(first.query("COMMIT")).rejects.toMatchObject({
    code: "40001",
    routine: "ddl_of_old_map",
  });
  await until(servesVersion(2));
  await expect(second.query("SELECT FROM more0")).rejects.toMatchObject({ code: "42P01" });
});

test("what one proxy has made, another finds at once", async () => {
  for (let round = 0; round < 3; round++) {
    await expect(second.query("SELECT count(*) FROM more0")).rejects.toMatchObject({
      code: "42P01",
    });
    await first.query("CREATE TABLE more0 (user_id bigint PRIMARY KEY, v text)");
    await first.query("INSERT INTO more0 SELECT n, 'x' FROM generate_series(1, 8) n");
    const updated = await second.query("UPDATE more0 SET v = 'y' WHERE user_id = 5");
    expect(updated.rowCount).toBe(1);
    const { rows } = await second.query("SELECT count(*)::int AS n FROM more0");
    expect(rows).toEqual([{ n: 8 }]);
    const joined = await second.query(
      "SELECT v FROM users JOIN more0 ON user_id = id WHERE id = $1",
      [5],
    );
    expect(joined.rows).toEqual([{ v: "y" }]);
    await first.query("DROP TABLE more0");
    await until(
      async () =>
        await second.query("SELECT FROM more0").then(
          () => false,
          () => true,
        ),
    );
  }
});

test("a map is known by its text: another one of the same number takes the place of a lost one", async () => {
  await fleet.publish(3);
  await until(servesVersion(3));
  await fleet.database.query(
    `ALTER TABLE colonnade.map DISABLE TRIGGER USER;
     UPDATE colonnade.control SET map_version = 2, revision = revision - 1;
     DELETE FROM colonnade.map WHERE version = 3;
     ALTER TABLE colonnade.map ENABLE TRIGGER USER`,
  );
  await fleet.publish(3, "main");
  const west = String(fleet.west.length);
  const count = async (client: pg.Client): Promise<unknown> =>
    (await client.query("SELECT count(*) AS n FROM users")).rows[0]?.n;
  await until(async () => (await count(first)) === west && (await count(second)) === west);
  await fleet.publish(4);
  await until(servesVersion(4));
});

test("without the control schema, tables that appear are refused, and none is made", async () => {
  await fleet.control.kill9();
  const connected = "colonnade_control_connected";
  await until(async () => (await fleet.proxies[0]?.metric(connected)) === 0);
  await fleet.data.query("main", "CREATE TABLE fresh (id integer)");
  await expect(first.query("SELECT * FROM fresh")).rejects.toMatchObject({
    code: "55000",
    routine: "table_unconfirmed",
  });
  await expect(first.query("INSERT INTO fresh VALUES (1)")).rejects.toMatchObject({
    code: "55000",
  });
  await expect(first.query("CREATE TABLE other (id integer)")).rejects.toMatchObject({
    code: "55000",
    routine: "ddl_unconfirmed",
  });
  await first.query("UPDATE users SET name = 'still served' WHERE id = 1");
  await fleet.control.restart();
  await until(
    async () =>
      await first.query("INSERT INTO fresh VALUES (1)").then(
        () => true,
        () => false,
      ),
  );
  await first.query("CREATE TABLE other (id integer)");
});
