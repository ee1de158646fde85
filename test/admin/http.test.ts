import { connect } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createLog } from "../../base/log.ts";
import { Metrics } from "../../base/metrics.ts";
import { type AdminHttp, startAdminHttp } from "../../proxy/admin/http.ts";

let admin: AdminHttp;
let isReady = false;
const metrics = new Metrics();

beforeEach(async () => {
  isReady = false;
  admin = await startAdminHttp({
    host: "127.0.0.1",
    port: 0,
    metrics,
    isReady: () => isReady,
    inDoubt: async () => ({ transactions: [] }),
    clients: () => [{ id: 7, user: "ann", pinned: ["advisory lock"] }],
    log: createLog("fatal"),
  });
});

afterEach(async () => await admin.close());

async function get(path: string, init?: RequestInit): Promise<readonly [number, string]> {
  const response = await fetch(`http://127.0.0.1:${admin.port}${path}`, init);
  return [response.status, await response.text()];
}

test("healthz answers from the start; readyz once the proxy is ready", async () => {
  expect(await get("/healthz")).toEqual([200, "ok\n"]);
  expect(await get("/readyz")).toEqual([503, "not ready\n"]);
  isReady = true;
  expect(await get("/readyz?verbose")).toEqual([200, "ready\n"]);
});

test("metrics are Prometheus' text, with every metric of the catalogue", async () => {
  metrics.increment("colonnade_statements_total", { kind: "read", route: "single" }, 3);
  metrics.set("colonnade_map_version", {}, 12);
  metrics.observe("colonnade_statement_seconds", { route: "single" }, 0.002);
  const [status, text] = await get("/metrics");
  expect(status).toBe(200);
  expect(text).toContain('colonnade_statements_total{kind="read",route="single"} 3');
  expect(text).toContain("colonnade_map_version 12");
  expect(text).toContain('colonnade_statement_seconds_bucket{le="0.0025",route="single"} 1');
});

test("what is in doubt is JSON", async () => {
  const [status, text] = await get("/in-doubt");
  expect([status, JSON.parse(text)]).toEqual([200, { transactions: [] }]);
});

test("other paths and methods are refused", async () => {
  expect((await get("/"))[0]).toBe(404);
  expect((await get("/metrics", { method: "POST" }))[0]).toBe(405);
  expect(await get("/healthz", { method: "HEAD" })).toEqual([200, ""]);
});

test("bytes that are no HTTP do no harm", async () => {
  const socket = connect(admin.port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]));
  await new Promise((resolve) => socket.once("close", resolve).resume());
  expect((await get("/healthz"))[0]).toBe(200);
});

test("a taken port is an error that names it", async () => {
  const again = startAdminHttp({
    host: "127.0.0.1",
    port: admin.port,
    metrics,
    isReady: () => true,
    inDoubt: async () => undefined,
    clients: () => [],
    log: createLog("fatal"),
  });
  await expect(again).rejects.toMatchObject({ code: "EADDRINUSE", port: admin.port });
});
