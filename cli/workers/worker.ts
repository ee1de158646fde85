/**
 * One of several processes that serve one address: a proxy like any other, but for what its
 * supervisor does for all of them (signals, the admin interface, the map's file) and for what it
 * passes on to the others. Started by the supervisor alone, and it ends with it.
 */
import cluster from "node:cluster";
import { setTimeout as sleep } from "node:timers/promises";
import {
  WORKER_ANSWER_TIMEOUT_MS,
  WORKER_APPLY_TIMEOUT_MS,
  WORKER_RESTART_MS_MIN,
} from "../../base/limits.ts";
import type { MetricValues, Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { SharedCommand, WorkerPlace } from "../../proxy/console/other-workers.ts";
import type { WorkerNews } from "../../proxy/execution/worker-news.ts";
import type { RunningProxy } from "../../proxy/running-proxy.ts";
import type { ExitCode } from "../failure.ts";
import { Channel } from "./channel.ts";
import type { SupervisorQuestions, ToSupervisor, ToWorker, WorkerQuestions } from "./messages.ts";

type Link = Channel<SupervisorQuestions, ToSupervisor, WorkerQuestions, ToWorker>;

export type WorkerOrders = Pick<ToWorker & { kind: "serve" }, "index" | "mapText">;

export const isWorker = (): boolean => cluster.isWorker;

export class WorkerLink implements Disposable {
  readonly #link: Link;
  readonly #metrics: Metrics;
  readonly #orders = Promise.withResolvers<WorkerOrders>();
  readonly #wish = Promise.withResolvers<"drain" | "stop">();
  readonly #impatient = Promise.withResolvers<void>();
  #proxy: RunningProxy | undefined;
  /** Puts the map of a text in force. */
  onApply: (text: string) => Promise<void> = async () => undefined;
  /** Puts in force what the control schema names. */
  onLook: () => Promise<void> = async () => undefined;
  /** What others have told before there was a proxy to heed it. */
  readonly #early: WorkerNews[] = [];
  #heed: ((news: WorkerNews) => Promise<void>) | undefined;

  /** Signals that all processes of a group get are the supervisor's to act on. */
  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#link = new Channel<SupervisorQuestions, ToSupervisor, WorkerQuestions, ToWorker>({
      // Asynchronous: who is gone ends this process by itself.
      send: (message) => process.send?.(message) !== undefined,
      onNotice: (notice) => this.#onNotice(notice),
      answers: this.#answers(),
    });
    process.on("message", this.#receive);
    for (const signal of OTHERS_SIGNALS) process.on(signal, ignore);
  }

  /** What the supervisor wants of it. */
  get orders(): Promise<WorkerOrders> {
    return this.#orders.promise;
  }

  /** How it is to end. */
  get first(): Promise<"drain" | "stop"> {
    return this.#wish.promise;
  }

  get impatient(): Promise<void> {
    return this.#impatient.promise;
  }

  place(index: number, count: number, pauseWaitMs: number): WorkerPlace {
    return {
      index,
      count,
      passCancel: (processId, secretKey) =>
        this.#link.tell({ kind: "cancel", processId, secretKey }),
      tell: (news) => this.#tell(news),
      onNews: (heed) => {
        for (const news of this.#early.splice(0)) void heed(news);
        this.#heed = heed;
      },
      others: {
        show: (name) => this.#link.ask("showOthers", name),
        command: (command) =>
          this.#link.ask("commandOthers", command, waitFor(command, pauseWaitMs)),
        kill: (id) => this.#link.ask("killOther", id),
      },
    };
  }

  /** Of all workers, by the supervisor. */
  reload(): Promise<void> {
    return this.#link.ask("reload", undefined, 2 * WORKER_APPLY_TIMEOUT_MS);
  }

  serving(proxy: RunningProxy): void {
    this.#proxy = proxy;
    void proxy.drainRequested.then(() => this.#link.tell({ kind: "drain" }));
    this.#link.tell({ kind: "serving", port: proxy.port });
  }

  /** Resolves once the supervisor has it: this process ends next. */
  async failed(message: string, exitCode: ExitCode): Promise<void> {
    await this.#link.ask("failed", { message, exitCode });
  }

  #onNotice(notice: ToWorker): void {
    switch (notice.kind) {
      case "serve":
        for (const part of notice.unfinished) void this.#hear({ kind: "unfinished", part });
        this.#orders.resolve(notice);
        break;
      case "cancel":
        this.#proxy?.cancel(notice.processId, Buffer.from(notice.secretKey));
        break;
      case "drain":
        this.#wish.resolve("drain");
        break;
      case "stop":
        this.#wish.resolve("stop");
        this.#impatient.resolve();
        break;
    }
  }

  /** What is told has happened, and its client waits to be told of it: a supervisor that is late is asked again. */
  async #tell(news: WorkerNews): Promise<void> {
    for (;;) {
      try {
        return await this.#link.ask("tellNews", news, 2 * WORKER_APPLY_TIMEOUT_MS);
      } catch {
        await sleep(WORKER_RESTART_MS_MIN);
      }
    }
  }

  async #hear(news: WorkerNews): Promise<void> {
    if (this.#heed === undefined) this.#early.push(news);
    else await this.#heed(news);
  }

  #answers() {
    const proxy = (): RunningProxy => {
      if (this.#proxy === undefined)
        throw new SqlError("worker_silent", "a process of the proxy is only starting");
      return this.#proxy;
    };
    return {
      isReady: () => this.#proxy?.ready() === true,
      metrics: (): Promise<MetricValues> => this.#metrics.values(),
      clients: async () => await proxy().admin.clients(),
      inDoubt: () => proxy().admin.inDoubt(),
      unfinished: () => this.#proxy?.unfinished() ?? [],
      news: (news: WorkerNews) => this.#hear(news),
      apply: (text: string) => this.onApply(text),
      look: () => this.onLook(),
      show: (name: string) => proxy().console.show(name),
      command: (command: SharedCommand) => proxy().console.command(command),
      kill: (id: number) => proxy().console.kill(id),
    };
  }

  readonly #receive = (message: unknown): void => this.#link.receive(message);

  /** With the channel, nothing keeps the process. */
  [Symbol.dispose](): void {
    process.off("message", this.#receive);
    if (process.connected) process.disconnect();
  }
}

const OTHERS_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

function ignore(): void {
  // The supervisor has it, too.
}

/** A pause waits for transactions first. */
export function waitFor(command: SharedCommand, pauseWaitMs: number): number {
  return WORKER_ANSWER_TIMEOUT_MS * 2 + (command.kind === "pause" ? pauseWaitMs : 0);
}
