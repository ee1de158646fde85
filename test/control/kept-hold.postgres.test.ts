/** Who need not be waited for after a change that was made under a hold: a proxy that has told that it holds back. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ControlDatabase } from "../../control/control-database.ts";
import { listProxies, renewLease } from "../../control/fleet-state.ts";
import type { HoldAnswer } from "../../control/fleet-state.ts";
import { announceHold } from "../../control/holds.ts";
import { holdsBack, lastStartedHold } from "../../control/kept-hold.ts";
import { LeaseWatch } from "../../control/lease-watch.ts";
import { upgradeControlSchema } from "../../control/schema-versions.ts";
import { proxiesOfRevision } from "../../migration/orchestrator/cutover.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const REQUEST = { name: "move", placements: ["users0.public"], requestedBy: "ada" };
const ID = "0b8f2a4e-0000-4000-8000-000000000001";

let server: TestPostgres;
let database: ControlDatabase;

beforeAll(async () => {
  server = await startPostgres();
  database = await ControlDatabase.open(parseBackendAddress(server.url("postgres")));
  await upgradeControlSchema(database, undefined);
  await database.query("INSERT INTO colonnade.leased VALUES ('users0.public', 'test')");
});

afterAll(async () => {
  database.connection.close();
  await server.stop();
});

async function tell(holds: readonly HoldAnswer[], appliedRevision: number): Promise<void> {
  const report = {
    id: ID,
    name: "proxy0",
    address: "127.0.0.1:6432",
    processId: 1,
    programVersion: "1",
    leaseMs: 2_000,
    mapVersion: 1,
    appliedRevision,
    holds,
    problem: undefined,
  };
  await renewLease(database, report, AbortSignal.timeout(60_000));
}

test("the hold that a change has kept is the last that was started, over or announced anew", async () => {
  expect(await lastStartedHold(database, "move")).toBeUndefined();
  const first = await announceHold(database, REQUEST);
  expect(await lastStartedHold(database, "move")).toBeUndefined();
  await first.start(60_000);
  expect(await lastStartedHold(database, "move")).toEqual({ name: "move", attempt: 1 });
  await first.resume();
  const second = await announceHold(database, REQUEST);
  expect(await lastStartedHold(database, "move")).toEqual({ name: "move", attempt: 1 });
  await second.start(60_000);
  expect(await lastStartedHold(database, "move")).toEqual({ name: "move", attempt: 2 });
  expect(await lastStartedHold(database, "another")).toBeUndefined();
  await second.resume();
});

test("after a switch, a silent proxy is held to be safe by what it told of this very hold, and by nothing else", async () => {
  const kept = { name: "move", attempt: 2 };
  const seen = async (holds: readonly HoldAnswer[]): Promise<unknown> => {
    await tell(holds, 3);
    const [proxy] = await listProxies(database);
    const [told] = await proxiesOfRevision({ control: database }, 4, kept, new LeaseWatch());
    expect(proxy === undefined ? undefined : holdsBack(proxy, kept)).toBe(told?.isHolding);
    const [unknown] = await proxiesOfRevision(
      { control: database },
      4,
      undefined,
      new LeaseWatch(),
    );
    expect(unknown).toMatchObject({ hasFollowed: false, isHolding: false, isLeaseDead: false });
    return told;
  };
  const answer = { ...kept, open: 0, waiting: 7 };
  const silent = { hasFollowed: false, isLeaseDead: false };
  expect(await seen([answer])).toMatchObject({ ...silent, isHolding: true });
  expect(await seen([{ ...answer, open: 1 }])).toMatchObject({ ...silent, isHolding: false });
  expect(await seen([{ ...answer, attempt: 1 }])).toMatchObject({ ...silent, isHolding: false });
  expect(await seen([{ ...answer, name: "other" }])).toMatchObject({ ...silent, isHolding: false });
  expect(await seen([])).toMatchObject({ ...silent, isHolding: false });
  await tell([], 4);
  const [followed] = await proxiesOfRevision({ control: database }, 4, kept, new LeaseWatch());
  expect(followed).toMatchObject({ hasFollowed: true, isHolding: false });
});
