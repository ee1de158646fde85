/** Two who store over one row, what goes with a change and what does not, and claims of tables. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ControlDatabase } from "../../control/control-database.ts";
import { forgetObject, intendObject, listObjects } from "../../control/migration-objects.ts";
import {
  controlNowMs,
  createMigration,
  listMigrations,
  readEvents,
  readMigration,
  storeMigration,
} from "../../control/migration-store.ts";
import { currentMap, publishMap } from "../../control/map-versions.ts";
import { upgradeControlSchema } from "../../control/schema-versions.ts";
import { UNTHROTTLED } from "../migration/unthrottled.ts";
import { plannedMigration, step } from "../../migration/machine.ts";
import type { Migration } from "../../migration/machine/life.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let database: ControlDatabase;
let other: ControlDatabase;

beforeAll(async () => {
  server = await startPostgres();
  const address = parseBackendAddress(server.url("postgres"));
  [database, other] = [await ControlDatabase.open(address), await ControlDatabase.open(address)];
});

afterAll(async () => {
  database.connection.close();
  other.connection.close();
  await server.stop();
});

beforeEach(async () => {
  await database.query("DROP SCHEMA IF EXISTS colonnade CASCADE");
  await upgradeControlSchema(database, undefined);
});

const MORE = { plan: { moves: [] }, createdBy: "ada" };

function planned(name: string): Migration {
  const parties = { sources: ["a"], targets: ["b"] };
  return plannedMigration(name, parties, { pauseMs: 2_000, reserveMs: 200, ...UNTHROTTLED });
}

function started(migration: Migration): Migration {
  const result = step(migration, { kind: "start" }, 0);
  if (result.kind !== "moved") throw new Error("it does not start");
  return result.migration;
}

test("of two who store over the same row, one has stored", async () => {
  const before = await createMigration(database, planned("one"), MORE);
  const claimed = (epoch: number): Migration => ({ ...before.document, epoch });
  const results = await Promise.all(
    [database, other].map(
      async (connection, index) =>
        await storeMigration(connection, before, {
          document: claimed(index + 1),
          what: "claimed",
          claims: "keep",
        }),
    ),
  );
  expect(results.map(({ kind }) => kind).toSorted()).toEqual(["stale", "stored"]);
  const stored = results.find(({ kind }) => kind === "stored");
  expect(stored).toEqual({
    kind: "stored",
    migration: await readMigration<Migration>(database, "one"),
  });
  expect((await readEvents(database, "one", 10)).map(({ what }) => what)).toEqual([
    "planned",
    "claimed",
  ]);
});

test("the row and the map change together, or neither does", async () => {
  const yaml = "version: 1";
  const map = { version: 1, yaml, author: "ada", changes: [], identities: {} };
  await publishMap(database, map, undefined);
  const before = await createMigration(database, planned("one"), MORE);
  const change = {
    document: started(before.document),
    what: "switched",
    claims: "keep",
    publish: { map: { ...map, version: 2 }, base: 1 },
  } as const;
  const fails = { ...change, within: () => Promise.reject(new Error("the hold is over")) };
  await expect(storeMigration(database, before, fails)).rejects.toThrow("the hold is over");
  const wrongBase = { ...change, publish: { ...change.publish, base: 7 } };
  await expect(storeMigration(database, before, wrongBase)).rejects.toMatchObject({
    id: "map_version_taken",
  });
  expect((await currentMap(database))?.version).toBe(1);
  expect(await readMigration(database, "one")).toEqual(before);
  const stored = await storeMigration(database, before, change);
  expect(stored).toMatchObject({ kind: "stored", migration: { version: 2, revision: 2 } });
  expect((await currentMap(database))?.version).toBe(2);
  expect(await storeMigration(database, before, change)).toEqual({ kind: "stale" });
  expect((await currentMap(database))?.version).toBe(2);
});

test("what was decided in time is not stored late", async () => {
  const before = await createMigration(database, planned("one"), MORE);
  const nowMs = await controlNowMs(database);
  const change = { document: started(before.document), what: "late", claims: "keep" } as const;
  expect(await storeMigration(database, before, { ...change, notAfterMs: nowMs - 1 })).toEqual({
    kind: "tooLate",
  });
  expect(await readMigration(database, "one")).toEqual(before);
  const inTime = { ...change, notAfterMs: nowMs + 60_000 };
  expect(await storeMigration(database, before, inTime)).toMatchObject({ kind: "stored" });
});

test("a table is moved by one migration at a time", async () => {
  const [one, two] = [
    await createMigration(database, planned("one"), MORE),
    await createMigration(database, planned("two"), MORE),
  ];
  const objects = ["a.public.users", "b.public.users"];
  const stored = await storeMigration(database, one, {
    document: started(one.document),
    what: "started",
    claims: { objects },
  });
  if (stored.kind !== "stored") throw new Error("it is not stored");
  const second = {
    document: started(two.document),
    what: "started",
    claims: { objects: ["c.public.users", "b.public.users"] },
  };
  await expect(storeMigration(database, two, second)).rejects.toMatchObject({
    id: "migration_objects_claimed",
    message: 'migration "one" moves b.public.users, so migration "two" cannot',
  });
  expect(await readMigration(database, "two")).toEqual(two);
  await storeMigration(database, stored.migration, {
    document: { ...stored.migration.document, life: { state: "cancelled" } },
    what: "cancelled",
    claims: "release",
  });
  expect(await storeMigration(database, two, second)).toMatchObject({ kind: "stored" });
});

test("names are taken once, and unknown ones are told", async () => {
  const one = await createMigration(database, planned("one"), MORE);
  await expect(createMigration(database, planned("one"), MORE)).rejects.toMatchObject({
    id: "migration_exists",
  });
  await expect(readMigration(database, "nobody")).rejects.toMatchObject({
    id: "migration_unknown",
  });
  expect(await listMigrations(database)).toEqual([one]);
});

test("objects are written down before they are made, and forgotten once they are gone", async () => {
  await createMigration(database, planned("one"), MORE);
  const slot = {
    migration: "one",
    database: "a",
    kind: "slot",
    name: "colonnade_one",
    remove: "always",
  } as const;
  await intendObject(database, slot);
  await intendObject(database, { ...slot, remove: "on cancel" });
  expect(await listObjects(database)).toEqual([{ ...slot, remove: "on cancel" }]);
  await forgetObject(database, slot);
  expect(await listObjects(database)).toEqual([]);
});
