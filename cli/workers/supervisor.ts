/**
 * Starts the workers of one listening address, and starts anew who ends by itself. What is one for
 * all of them is here: the map's text, which all serve; cancel requests and the console's
 * questions, which go to whom they are for; and their end. It serves no client, and knows no database.
 *
 * Node's cluster accepts connections in this process and hands them out in turn: a worker that
 * dies, or is busy for long, has no connections waiting that another could have served, as it would
 * with SO_REUSEPORT (decision 0016).
 */
import cluster from "node:cluster";
import {
  WORKER_ANSWER_TIMEOUT_MS,
  WORKER_APPLY_TIMEOUT_MS,
  WORKER_END_GRACE_MS,
  WORKER_START_FAILURES_MAX,
} from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { ConsoleRows } from "../../proxy/console/console-answers.ts";
import type { WorkerNews } from "../../proxy/execution/worker-news.ts";
import type { SharedCommand } from "../../proxy/console/other-workers.ts";
import { CommandFailure } from "../failure.ts";
import type { CancelNotice, SupervisorQuestions, ToSupervisor } from "./messages.ts";
import { WorkerSlot } from "./worker-slot.ts";
import type { WorkerOrders } from "./worker-slot.ts";
import { waitFor } from "./worker.ts";

export interface SupervisorOptions {
  readonly count: number;
  /** The text of the map to start with; undefined where the control schema names it. */
  readonly mapText: string | undefined;
  /** Reads the map again, or throws why it cannot be; undefined where the control schema names it. */
  readonly readMap: (() => string) | undefined;
  readonly drainMs: number;
  readonly pauseWaitMs: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: readonly WorkerSlot[];
  readonly #drainRequested = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #started = Promise.withResolvers<number>();
  #mapText: string | undefined;
  #reloading: Promise<void> = Promise.resolve();
  #isStarted = false;
  #isEnding = false;
  /** Called when a worker has ended, with what it last told of itself. */
  onGone: (slot: WorkerSlot) => void = () => undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#mapText = options.mapText;
    const events = {
      onNotice: (slot: WorkerSlot, notice: ToSupervisor) => this.#onNotice(slot, notice),
      answers: (slot: WorkerSlot) => this.#answers(slot),
      onEnd: (slot: WorkerSlot, how: string) => this.#onEnd(slot, how),
    };
    this.#slots = Array.from(
      { length: options.count },
      (_, index) => new WorkerSlot(index, events),
    );
    // Whoever waits for neither hears of it by the end of the workers.
    this.#failed.promise.catch(() => undefined);
    this.#started.promise.catch(() => undefined);
  }

  /** Resolves to the port once all serve; rejects as the first that cannot. */
  async start(): Promise<number> {
    cluster.setupPrimary({ serialization: "advanced" });
    cluster.schedulingPolicy = cluster.SCHED_RR;
    for (const slot of this.#slots) slot.start(this.#ordersFor);
    const port = await this.#started.promise;
    this.#isStarted = true;
    return port;
  }

  /** Those that serve now. */
  get serving(): readonly WorkerSlot[] {
    return this.#slots.filter(({ isServing }) => isServing);
  }

  get drainRequested(): Promise<void> {
    return this.#drainRequested.promise;
  }

  /** Rejects once no worker can be kept alive. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /** One after the other. Rejects with why the map is refused; all serve the old one then. */
  reload(): Promise<void> {
    const before = this.#reloading;
    const reload = before.catch(() => undefined).then(() => this.#reload());
    this.#reloading = reload;
    return reload;
  }

  async #reload(): Promise<void> {
    const { readMap, log } = this.#options;
    if (readMap === undefined) return await this.#look();
    const text = readMap();
    const told = this.serving;
    const results = await Promise.allSettled(
      told.map(async ({ channel }) => await channel?.ask("apply", text, WORKER_APPLY_TIMEOUT_MS)),
    );
    if (results.every(({ status }) => status === "rejected")) {
      for (const result of results) if (result.status === "rejected") throw result.reason;
      throw new SqlError("worker_silent", "no process of the proxy serves now");
    }
    this.#mapText = text;
    for (const [place, result] of results.entries()) {
      const slot = told[place];
      if (slot === undefined) continue;
      slot.mapText = text;
      if (result.status === "fulfilled") continue;
      // One map for all: who has refused what others serve begins anew with it.
      log.error(
        { worker: slot.index + 1, reason: String(result.reason) },
        "worker has another map",
      );
      slot.kill();
    }
  }

  /** Each follows the control schema by itself; one that starts reads it first. Rejects as the first that cannot. */
  async #look(): Promise<void> {
    await Promise.all(
      this.serving.map(
        async ({ channel }) => await channel?.ask("look", undefined, WORKER_APPLY_TIMEOUT_MS),
      ),
    );
  }

  /** Lets transactions end for up to `drainMs`; `impatient` ends that. */
  async drain(impatient: Promise<void>): Promise<void> {
    this.#isEnding = true;
    const all = this.#endedAll({ kind: "drain" });
    const late = setTimeout(() => this.#killAll(), this.#options.drainMs + WORKER_END_GRACE_MS);
    await Promise.race([all, impatient]);
    clearTimeout(late);
  }

  /** At once. Twice is once. */
  async stop(): Promise<void> {
    this.#isEnding = true;
    const late = setTimeout(() => this.#killAll(), WORKER_END_GRACE_MS);
    await this.#endedAll({ kind: "stop" });
    clearTimeout(late);
  }

  async #endedAll(notice: { readonly kind: "drain" | "stop" }): Promise<void> {
    for (const slot of this.#slots) {
      slot.stopStarting();
      slot.channel?.tell(notice);
    }
    await Promise.all(this.#slots.map(({ ended }) => ended));
  }

  #killAll(): void {
    for (const slot of this.#slots) slot.kill();
  }

  #onNotice(slot: WorkerSlot, notice: ToSupervisor): void {
    switch (notice.kind) {
      case "serving":
        return this.#onServing(slot, notice.port);
      case "cancel":
        return this.#passCancel(slot, notice);
      case "drain":
        return this.#drainRequested.resolve();
    }
  }

  #onServing(slot: WorkerSlot, port: number): void {
    slot.isServing = true;
    this.#tellCount();
    // The map may have been replaced while it started.
    if (slot.mapText !== this.#mapText) slot.kill();
    if (this.serving.length === this.#slots.length) this.#started.resolve(port);
  }

  /** Whose client it is, its process id says; that worker compares the key. */
  #passCancel(from: WorkerSlot, notice: CancelNotice): void {
    const owner = this.#slots[notice.processId % this.#slots.length];
    if (owner !== undefined && owner !== from) owner.channel?.tell(notice);
  }

  #onEnd(slot: WorkerSlot, how: string): void {
    const { log, metrics } = this.#options;
    this.#tellCount();
    this.onGone(slot);
    if (this.#isEnding) return;
    if (!this.#isStarted) {
      this.#started.reject(new CommandFailure(`a worker has ended before it served: ${how}`));
      return;
    }
    const pauseMs = slot.startLater(this.#ordersFor);
    metrics.increment("colonnade_worker_restarts_total", {});
    log.error({ worker: slot.index + 1, how, pauseMs }, "worker has ended; it is started again");
    if (this.serving.length > 0 || slot.failuresInRow < WORKER_START_FAILURES_MAX) return;
    this.#failed.reject(
      new CommandFailure(`no worker stays alive: the last ended by ${how}; see the log for why`),
    );
  }

  /** Never rejects. Who is told of more meanwhile keeps it until it serves. */
  readonly #ordersFor = async (slot: WorkerSlot): Promise<WorkerOrders> => {
    const lists = await Promise.all(
      this.serving
        .filter((each) => each !== slot)
        .map(async ({ channel }) => await channel?.ask("unfinished", undefined).catch(() => [])),
    );
    return { mapText: this.#mapText, unfinished: lists.flatMap((list) => list ?? []) };
  };

  /** Who does not heed it would show its clients the time before: it ends. */
  async #tellNews(from: WorkerSlot, news: WorkerNews): Promise<void> {
    const others = this.#slots.filter((slot) => slot !== from && slot.channel !== undefined);
    // A catalog takes as long to load as it is large.
    const waitMs = news.kind === "catalog" ? WORKER_APPLY_TIMEOUT_MS : WORKER_ANSWER_TIMEOUT_MS;
    await Promise.all(
      others.map(async (slot) => {
        await slot.channel?.ask("news", news, waitMs).catch(() => slot.kill());
      }),
    );
  }

  #tellCount(): void {
    this.#options.metrics.set("colonnade_workers", {}, this.serving.length);
  }

  #answers(slot: WorkerSlot) {
    const others = (): readonly WorkerSlot[] => this.serving.filter((each) => each !== slot);
    const { pauseWaitMs } = this.#options;
    return {
      failed: ({ message, exitCode }: SupervisorQuestions["failed"]["about"]) => {
        if (!this.#isStarted) this.#started.reject(new CommandFailure(message, exitCode));
        else this.#options.log.error({ worker: slot.index + 1, message }, "worker cannot start");
      },
      tellNews: (news: WorkerNews) => this.#tellNews(slot, news),
      reload: () => this.reload(),
      showOthers: (name: string) => this.#showOthers(others(), name),
      commandOthers: async (command: SharedCommand): Promise<void> => {
        const waitMs = waitFor(command, pauseWaitMs) - WORKER_ANSWER_TIMEOUT_MS;
        await Promise.all(
          others().map(async ({ channel }) => await channel?.ask("command", command, waitMs)),
        );
      },
      killOther: async (id: number): Promise<boolean> => {
        const owner = this.#slots[id % this.#slots.length];
        if (owner === undefined || owner === slot) return false;
        return (await owner.channel?.ask("kill", id)) === true;
      },
    } satisfies {
      readonly [Name in keyof SupervisorQuestions]: unknown;
    };
  }

  async #showOthers(others: readonly WorkerSlot[], name: string): Promise<ConsoleRows> {
    const waitMs = WORKER_ANSWER_TIMEOUT_MS / 2;
    const told = await Promise.allSettled(
      others.map(async ({ channel }) => await channel?.ask("show", name, waitMs)),
    );
    return told.flatMap((each) => (each.status === "fulfilled" ? (each.value ?? []) : []));
  }
}
