/** A proxy that serves takes away rows of proxies that died: as it joins, and each hour from then on. */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import {
  FLEET_FORGET_INTERVAL_MS,
  FLEET_FORGET_SILENT_MS,
  FLEET_RENEW_INTERVAL_MS,
} from "../../base/limits.ts";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import { ControlDatabase } from "../../control/control-database.ts";
import { listProxies } from "../../control/fleet-state.ts";
import { upgradeControlSchema } from "../../control/schema-versions.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { FleetMember } from "../../proxy/fleet/fleet-member.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;
let database: ControlDatabase;

beforeAll(async () => {
  server = await startPostgres();
  database = await ControlDatabase.open(parseBackendAddress(server.url("postgres")));
  await upgradeControlSchema(database, undefined);
});

afterEach(() => vi.restoreAllMocks());

afterAll(async () => {
  database.connection.close();
  await server.stop();
});

/** `ageMs`: since it renewed its lease for the last time. */
async function died(name: string, ageMs: number): Promise<void> {
  await database.query(
    `INSERT INTO colonnade.proxy (id, name, address, process_id, program_version, renewed_at, lease_ms, map_version, applied_revision)
     VALUES ('${randomUUID()}', '${name}', 'h:1', 1, '1', clock_timestamp() - ${ageMs} * interval '1 millisecond', 30000, 1, 0)`,
  );
}

async function names(): Promise<readonly string[]> {
  return (await listProxies(database)).map(({ name }) => name).toSorted();
}

/** Its clock is ahead by what the test says. */
function memberWithClock(): { readonly member: FleetMember; readonly ahead: (ms: number) => void } {
  let aheadMs = 0;
  const now = performance.now.bind(performance);
  vi.spyOn(performance, "now").mockImplementation(() => now() + aheadMs);
  const member = new FleetMember({
    control: parseBackendAddress(server.url("postgres")),
    self: { id: randomUUID(), name: "alive", address: "h:2", processId: 2, programVersion: "1" },
    map: () => ({ version: 1, hash: undefined }),
    apply: async () => undefined,
    obeyed: {
      follow: () => undefined,
      shortenLease: () => undefined,
      reports: [],
      onDrained: () => undefined,
    },
    catalog: { follow: () => undefined, settled: [] },
    log: createLog("fatal"),
    metrics: new Metrics(),
  });
  return { member, ahead: (ms) => (aheadMs = ms) };
}

test("who joins forgets at once, then hourly, and neither those that died within the day", async () => {
  const old = FLEET_FORGET_SILENT_MS + 60_000;
  await died("long gone", old);
  await died("just gone", FLEET_FORGET_SILENT_MS - 60_000);
  const { member, ahead } = memberWithClock();
  member.start();
  try {
    await expect.poll(names, { timeout: 20_000 }).toEqual(["alive", "just gone"]);
    await died("gone since", old);
    ahead(FLEET_FORGET_INTERVAL_MS - 60_000);
    await sleep(4 * FLEET_RENEW_INTERVAL_MS);
    expect(await names()).toEqual(["alive", "gone since", "just gone"]);
    ahead(FLEET_FORGET_INTERVAL_MS);
    await expect.poll(names, { timeout: 20_000 }).toEqual(["alive", "just gone"]);
  } finally {
    await member.stop();
  }
  expect(await names()).toEqual(["just gone"]);
});
