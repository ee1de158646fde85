/** What is refused of the control schema and its maps, by the id that commands and logs tell. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ControlDatabase } from "../../control/control-database.ts";
import {
  CONTROL_SCHEMA_VERSION,
  CONTROL_UPGRADES,
  setSchemaVersion,
} from "../../control/control-schema.ts";
import { announceDdl, endDdl } from "../../control/ddl-intents.ts";
import { forgetSilentProxies, listProxies, readFleetState } from "../../control/fleet-state.ts";
import { currentMap, publishedMapOf, publishMap } from "../../control/map-versions.ts";
import { requireControlSchema, upgradeControlSchema } from "../../control/schema-versions.ts";
import { mapToStartWith } from "../../cli/serve-fleet.ts";
import { FLEET_FORGET_SILENT_MS } from "../../base/limits.ts";
import { createLog } from "../../base/log.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let database: ControlDatabase;

beforeAll(async () => {
  server = await startPostgres();
  database = await ControlDatabase.open(parseBackendAddress(server.url("postgres")));
});

afterAll(async () => {
  database.connection.close();
  await server.stop();
});

beforeEach(async () => {
  await database.query("DROP SCHEMA IF EXISTS colonnade CASCADE");
});

const MAP = { version: 1, yaml: "version: 1", author: "ada", changes: [], identities: {} };

test("a schema that is missing, older or newer", async () => {
  await expect(requireControlSchema(database)).rejects.toMatchObject({
    id: "control_schema_missing",
  });
  await upgradeControlSchema(database, undefined);
  await requireControlSchema(database);
  await database.query("UPDATE colonnade.control SET schema_version = 0");
  await expect(requireControlSchema(database)).rejects.toMatchObject({ id: "control_schema_old" });
  await database.query("UPDATE colonnade.control SET schema_version = 99");
  await expect(requireControlSchema(database)).rejects.toMatchObject({ id: "control_schema_new" });
  await expect(upgradeControlSchema(database, undefined)).rejects.toMatchObject({
    id: "control_schema_new",
  });
});

test("a schema of the version before is upgraded, once, with the rights of its proxies", async () => {
  const before = CONTROL_SCHEMA_VERSION - 1;
  for (const upgrade of CONTROL_UPGRADES.slice(0, before)) await database.query(upgrade);
  await database.query(setSchemaVersion(before));
  await database.query(`DROP ROLE IF EXISTS proxies; CREATE ROLE proxies;
    GRANT USAGE ON SCHEMA colonnade TO proxies;
    GRANT SELECT ON colonnade.control, colonnade.map, colonnade.leased, colonnade.hold TO proxies;
    GRANT SELECT, INSERT, UPDATE, DELETE ON colonnade.proxy TO proxies`);
  const to = CONTROL_SCHEMA_VERSION;
  expect(await upgradeControlSchema(database, undefined)).toEqual({ from: before, to });
  expect(await upgradeControlSchema(database, undefined)).toEqual({ from: to, to });
  await database.query("SET ROLE proxies");
  const intent = { id: randomUUID(), transaction: "7" };
  await announceDdl(database, intent, randomUUID());
  expect((await readFleetState(database)).ddl).toEqual([intent]);
  await endDdl(database, [intent.id]);
  expect((await readFleetState(database)).ddl).toEqual([]);
  await database.query("RESET ROLE; DROP OWNED BY proxies; DROP ROLE proxies");
});

test("a map over another one than it was made from is not published, and leaves no trace", async () => {
  await upgradeControlSchema(database, undefined);
  await publishMap(database, MAP, undefined);
  const before = await database.query("SELECT * FROM colonnade.control");
  for (const base of [undefined, 7])
    await expect(publishMap(database, { ...MAP, version: 2 }, base)).rejects.toMatchObject({
      id: "map_version_taken",
    });
  expect(await database.query("SELECT * FROM colonnade.control")).toEqual(before);
  await expect(publishedMapOf(database, 2)).rejects.toMatchObject({ id: "map_version_unknown" });
  expect(await currentMap(database)).toMatchObject({ ...MAP, publishedAt: expect.any(String) });
});

// published_map_unreadable
test("a published map that this program cannot read stops a start", async () => {
  await upgradeControlSchema(database, undefined);
  await publishMap(database, MAP, undefined);
  const address = parseBackendAddress(server.url("postgres"));
  await expect(mapToStartWith(address, undefined, createLog("fatal"))).rejects.toThrow(
    "version 1 of the shard map has mistakes",
  );
});

test("a proxy that has been silent for a day is forgotten, and no other", async () => {
  await upgradeControlSchema(database, undefined);
  const ages = { gone: "2 days", silent: "23 hours", there: "0" };
  for (const [name, age] of Object.entries(ages))
    await database.query(
      `INSERT INTO colonnade.proxy (id, name, address, process_id, program_version, renewed_at, lease_ms, map_version, applied_revision)
       VALUES ('${randomUUID()}', '${name}', 'h:1', 1, '1', now() - interval '${age}', 30000, 1, 0)`,
    );
  await forgetSilentProxies(database, FLEET_FORGET_SILENT_MS);
  const left = await listProxies(database);
  expect(left.map(({ name }) => name).toSorted((a, b) => a.localeCompare(b))).toEqual([
    "silent",
    "there",
  ]);
});
