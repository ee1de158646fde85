/**
 * The proxy as its users run it, for tests: `colonnade serve` in a process of its own, on
 * free ports, with a map and a configuration written for the test.
 *
 * A process of its own, so that a test can measure its memory, and so that the proxy and
 * the test that drives it do not share one thread.
 */
import { spawn } from "node:child_process";
import type { ChildProcess, ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { freePort } from "./free-port.ts";
import { RawClient } from "./raw-client.ts";
import { IS_MULTIPLEXED_RUN } from "./run-mode.ts";

export interface TestProxyOptions {
  /** Merged over ports and a quiet log. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Processes that serve; one unless given. */
  readonly workers?: number;
  /** Whom `connect` is, where the configuration does not trust everybody. */
  readonly connectAs?: { readonly user: string; readonly password: string };
}

export interface ProxyMemory {
  readonly residentBytes: number;
  /** JavaScript objects, and the buffers outside of the heap that belong to them. */
  readonly heapBytes: number;
}

export interface TestProxy extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly adminPort: number;
  readonly pid: number;
  /** The file its map is read from, also by SIGHUP and RELOAD. */
  readonly mapFile: string;
  /** What it has written so far: the last of its log. */
  output(): string;
  isAlive(): boolean;
  /** After a garbage collection: garbage comes and goes by hundreds of megabytes under load. */
  memory(): Promise<ProxyMemory>;
  connect(settings?: Readonly<Record<string, string>>): Promise<RawClient>;
  /** For psql and pgbench. */
  url(database?: string): string;
  /** SIGTERM, then the end of the process; SIGKILL where it does not come. */
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 15_000;
/** Longer than any wait the proxy allows a statement: a later answer is none. */
const ANSWER_TIMEOUT_MS = 40_000;
const OUTPUT_CHARS_MAX = 20_000;
const REPORT_MEMORY = new URL("report-memory.ts", import.meta.url).href;
const ENTRY = new URL("../../cli/main.ts", import.meta.url).pathname;

export async function startTestProxy(
  mapYaml: string,
  options: TestProxyOptions = {},
): Promise<TestProxy> {
  const directory = await mkdtemp(join(tmpdir(), "colonnade-proxy-"));
  const [port, adminPort] = [await freePort(), await freePort()];
  const child = await spawnProxy(
    directory,
    mapYaml,
    {
      admin: { host: HOST, port: adminPort },
      log: { level: "warn" },
      multiplexed_reads: { enabled: IS_MULTIPLEXED_RUN },
      ...options.config,
      listen: { host: HOST, port, ...listenOf(options) },
    },
    options.workers,
  );
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  const stop = async (): Promise<void> => {
    await endProcess(child);
    await rm(directory, { recursive: true, force: true });
  };
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  const connect = (settings?: Readonly<Record<string, string>>): Promise<RawClient> =>
    RawClient.connect({
      host: HOST,
      port,
      user: "postgres",
      ...options.connectAs,
      database: "app",
      timeoutMs: ANSWER_TIMEOUT_MS,
      ...(settings && { settings }),
    });
  try {
    await untilServing(connect, isAlive);
  } catch (cause) {
    await stop();
    throw new Error(`the proxy did not start: ${output}`, { cause });
  }
  return {
    host: HOST,
    port,
    adminPort,
    pid: child.pid as number,
    mapFile: join(directory, "map.yaml"),
    output: () => output,
    isAlive,
    memory: () => memoryOf(child, () => output),
    connect,
    url: (database = "app") => `postgres://postgres@${HOST}:${port}/${database}`,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function spawnProxy(
  directory: string,
  mapYaml: string,
  config: Readonly<Record<string, unknown>>,
  workers = 1,
): Promise<ChildProcessByStdio<Writable, Readable, Readable>> {
  const [mapFile, configFile] = [join(directory, "map.yaml"), join(directory, "config.yaml")];
  await writeFile(mapFile, mapYaml);
  await writeFile(configFile, stringify(config));
  const node = ["--expose-gc", "--import", REPORT_MEMORY];
  const several = workers === 1 ? [] : ["--workers", String(workers)];
  const serve = [ENTRY, "serve", "--map", mapFile, "--config", configFile, ...several];
  return spawn(process.execPath, [...node, ...serve], {
    // Nothing is ever written to its standard input, which ends when we do.
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, COLONNADE_TEST_DIRECTORY: directory },
  });
}

async function untilServing(
  connect: () => Promise<RawClient>,
  isAlive: () => boolean,
): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      const client = await connect();
      await client.query("SELECT 1");
      await client.close();
      return;
    } catch (error) {
      if (!isAlive() || Date.now() > deadline) throw error;
      await sleep(50);
    }
  }
}

/** What a test says of its listener beside the address. */
function listenOf({ config }: TestProxyOptions): Readonly<Record<string, unknown>> {
  const listen = config?.["listen"];
  return typeof listen === "object" && listen !== null ? { ...listen } : {};
}

async function memoryOf(child: ChildProcess, output: () => string): Promise<ProxyMemory> {
  const reports = (): RegExpExecArray[] => [
    ...output().matchAll(/^memory (\d+) (\d+) (\d+) (\d+)$/gm),
  ];
  const lastNumber = (): string | undefined => reports().at(-1)?.[1];
  const before = lastNumber();
  child.kill("SIGUSR2");
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (lastNumber() === before) {
    if (Date.now() > deadline) throw new Error(`the proxy does not report its memory: ${output()}`);
    await sleep(20);
  }
  const [, , residentBytes, heapUsed, external] = reports().at(-1) ?? [];
  return {
    residentBytes: Number(residentBytes),
    heapBytes: Number(heapUsed) + Number(external),
  };
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
}
