/**
 * Trouble, at the states of a migration that a seed has chosen: what is struck is killed, stopped
 * for a while, or kept waiting, and comes back by itself.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Fleet, Orchestrator } from "./fleet.ts";
import type { Random } from "./random.ts";
import type { FaultReport } from "./report.ts";

export const FAULT_STATES = [
  "setup",
  "copying",
  "catchingUp",
  "indexing",
  "armingReverse",
  "verifying",
  "ready",
  "pausing",
  "fenced",
  "drained",
  "switched",
  "reversible",
] as const;

export const FAULT_KINDS = [
  "kill orchestrator",
  "stop orchestrator",
  "kill proxy",
  "stop proxy",
  "kill server",
] as const;

export interface Fault {
  readonly state: (typeof FAULT_STATES)[number];
  readonly kind: (typeof FAULT_KINDS)[number];
  /** Which proxy, or server, counted over all there are. */
  readonly target: number;
  /** After the state was told. */
  readonly afterMs: number;
}

export function faultsOf(random: Random, count: number): readonly Fault[] {
  return Array.from({ length: count }, () => ({
    state: random.pick(FAULT_STATES),
    kind: random.pick(FAULT_KINDS),
    target: random.integer(0, 12),
    afterMs: random.next() < 0.5 ? 0 : random.integer(1, 200),
  }));
}

/** Longer than a lease in a cutover, and than a pause. */
const STOPPED_MS = 5_000;
const SERVER_DOWN_MS = 500;

export class Faults {
  readonly #waiting: Fault[];
  readonly #fleet: Fleet;
  readonly #orchestrator: Orchestrator;
  readonly #say: (line: string) => void;
  readonly #going = new Set<Promise<void>>();
  readonly #reports: FaultReport[] = [];

  constructor(
    faults: readonly Fault[],
    fleet: Fleet,
    orchestrator: Orchestrator,
    say: (line: string) => void,
  ) {
    this.#waiting = [...faults];
    this.#fleet = fleet;
    this.#orchestrator = orchestrator;
    this.#say = say;
  }

  /** Each fault strikes once, the first time that its state comes. */
  onState(state: string): void {
    const at = this.#waiting.findIndex((fault) => fault.state === state);
    if (at < 0) return;
    const [fault] = this.#waiting.splice(at, 1);
    if (fault === undefined) return;
    const going = this.#strike(fault).finally(() => this.#going.delete(going));
    this.#going.add(going);
  }

  /** Nothing strikes any more, and what was struck is whole again. */
  async end(): Promise<readonly FaultReport[]> {
    const unmet = this.#waiting.splice(0);
    await Promise.all(this.#going);
    for (const fault of unmet)
      this.#reports.push({ cell: cellOf(fault), outcome: "not reached", recoveryMs: undefined });
    return this.#reports;
  }

  async #strike(fault: Fault): Promise<void> {
    await sleep(fault.afterMs);
    this.#say(`fault: ${cellOf(fault)}`);
    const startMs = performance.now();
    await this.#play(fault);
    const recoveryMs = Math.round(performance.now() - startMs);
    this.#reports.push({ cell: cellOf(fault), outcome: "played", recoveryMs });
  }

  async #play({ kind, target }: Fault): Promise<void> {
    const { proxies, servers } = this.#fleet;
    const proxy = proxies[target % proxies.length];
    const server = servers[target % servers.length];
    switch (kind) {
      case "kill orchestrator":
        return this.#orchestrator.signal("SIGKILL");
      case "stop orchestrator":
        this.#orchestrator.signal("SIGSTOP");
        await sleep(STOPPED_MS);
        return this.#orchestrator.signal("SIGCONT");
      case "kill proxy":
        return await proxy?.killAndRestart();
      case "stop proxy":
        proxy?.signal("SIGSTOP");
        await sleep(STOPPED_MS);
        return proxy?.signal("SIGCONT");
      case "kill server":
        await server?.kill9();
        await sleep(SERVER_DOWN_MS);
        await server?.restart();
    }
  }
}

function cellOf({ state, kind, target, afterMs }: Fault): string {
  return `${kind}${kind.endsWith("orchestrator") ? "" : ` ${target}`} ${afterMs} ms into ${state}`;
}
