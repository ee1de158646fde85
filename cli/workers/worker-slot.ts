/**
 * The place of one worker: the process that has it now, and when the next one is started where
 * that has ended by itself. What workers do it does not know.
 */
import cluster from "node:cluster";
import type { Worker } from "node:cluster";
import {
  WORKER_RESTART_MS_MAX,
  WORKER_RESTART_MS_MIN,
  WORKER_STEADY_MS,
} from "../../base/limits.ts";
import type { MetricValues } from "../../base/metrics.ts";
import { Channel } from "./channel.ts";
import type { Answers } from "./channel.ts";
import type { SupervisorQuestions, ToSupervisor, ToWorker, WorkerQuestions } from "./messages.ts";

export type WorkerChannel = Channel<WorkerQuestions, ToWorker, SupervisorQuestions, ToSupervisor>;

/** What a worker begins with. */
export type WorkerOrders = Pick<ToWorker & { kind: "serve" }, "mapText" | "unfinished">;

export interface SlotEvents {
  readonly onNotice: (slot: WorkerSlot, notice: ToSupervisor) => void;
  readonly answers: (slot: WorkerSlot) => Answers<SupervisorQuestions>;
  /** `how`: its exit code, or the signal that killed it. */
  readonly onEnd: (slot: WorkerSlot, how: string) => void;
}

export class WorkerSlot {
  readonly index: number;
  readonly #events: SlotEvents;
  #worker: Worker | undefined;
  #channel: WorkerChannel | undefined;
  #startedMs = 0;
  #failuresInRow = 0;
  #restart: NodeJS.Timeout | undefined;
  #ended: Promise<void> = Promise.resolve();
  isServing = false;
  /** Of the map that it was last told of. */
  mapText: string | undefined;
  /** What it last told of itself. */
  lastMetrics: MetricValues | undefined;

  constructor(index: number, events: SlotEvents) {
    this.index = index;
    this.#events = events;
  }

  /** Undefined while no process has the place. */
  get channel(): WorkerChannel | undefined {
    return this.#channel;
  }

  get failuresInRow(): number {
    return this.#failuresInRow;
  }

  get pid(): number | undefined {
    return this.#worker?.process.pid;
  }

  /** Settles once the process that has the place now has ended. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  start(ordersFor: (slot: WorkerSlot) => Promise<WorkerOrders>): void {
    const worker = cluster.fork();
    const { promise, resolve } = Promise.withResolvers<void>();
    const channel: WorkerChannel = new Channel({
      send: (message) => worker.isConnected() && worker.send(message as object),
      onNotice: (notice: ToSupervisor) => this.#events.onNotice(this, notice),
      answers: this.#events.answers(this),
    });
    this.#worker = worker;
    this.#channel = channel;
    this.#startedMs = performance.now();
    this.#ended = promise;
    // Its channel breaks when it dies, which its exit tells.
    worker.on("error", () => undefined);
    worker.on("message", (message: unknown) => channel.receive(message));
    worker.once("exit", (code, signal) => {
      channel.close();
      this.#worker = this.#channel = undefined;
      this.isServing = false;
      resolve();
      this.#events.onEnd(this, signal ?? `exit code ${code}`);
    });
    void ordersFor(this).then((orders) => {
      this.mapText = orders.mapText;
      channel.tell({ kind: "serve", index: this.index, ...orders });
    });
  }

  /** After a pause that grows with each process that did not live long. Gives the pause, in ms. */
  startLater(ordersFor: (slot: WorkerSlot) => Promise<WorkerOrders>): number {
    const livedMs = performance.now() - this.#startedMs;
    this.#failuresInRow = livedMs > WORKER_STEADY_MS ? 1 : this.#failuresInRow + 1;
    const pauseMs = WORKER_RESTART_MS_MIN * 2 ** (this.#failuresInRow - 1);
    const boundedMs = Math.min(WORKER_RESTART_MS_MAX, pauseMs);
    this.#restart = setTimeout(() => this.start(ordersFor), boundedMs);
    return boundedMs;
  }

  /** Nothing is started here any more. */
  stopStarting(): void {
    clearTimeout(this.#restart);
  }

  kill(): void {
    this.#worker?.process.kill("SIGKILL");
  }
}
