/**
 * CPU profiles of a Node process that runs already, through its inspector: on SIGUSR1 Node opens
 * it on the port that `--inspect-port` has set. It is open on the loopback address alone.
 */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

const OPEN_TIMEOUT_MS = 10_000;
/** Between two samples: fine enough for a slice of a second. */
const SAMPLING_INTERVAL_US = 200;

export interface Profiler {
  start(): Promise<void>;
  /** The profile since `start`, as a `.cpuprofile` file holds it. */
  stop(): Promise<string>;
  close(): void;
}

/** @param port what the process was started with as `--inspect-port` */
export async function attachProfiler(pid: number, port: number): Promise<Profiler> {
  process.kill(pid, "SIGUSR1");
  const socket = new WebSocket(await inspectorUrl(port));
  await once(socket, "open");
  let sent = 0;
  const ask = async (method: string, params: object = {}): Promise<Record<string, unknown>> => {
    sent += 1;
    const id = sent;
    socket.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [event] = (await once(socket, "message")) as [MessageEvent];
      const answer = JSON.parse(String(event.data)) as {
        readonly id?: number;
        readonly error?: { readonly message: string };
        readonly result: Record<string, unknown>;
      };
      if (answer.id !== id) continue;
      if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
      return answer.result;
    }
  };
  await ask("Profiler.enable");
  await ask("Profiler.setSamplingInterval", { interval: SAMPLING_INTERVAL_US });
  return {
    start: async () => void (await ask("Profiler.start")),
    stop: async () => JSON.stringify((await ask("Profiler.stop"))["profile"]),
    close: () => socket.close(),
  };
}

async function inspectorUrl(port: number): Promise<string> {
  const deadline = performance.now() + OPEN_TIMEOUT_MS;
  for (;;) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/json/list`);
      const [target] = (await response.json()) as { readonly webSocketDebuggerUrl: string }[];
      if (target !== undefined) return target.webSocketDebuggerUrl;
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(50);
  }
}
