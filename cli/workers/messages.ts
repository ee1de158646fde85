/**
 * What the supervisor and its workers say to each other, over the channel between a process and
 * the one that started it. Nothing of a client's data is in it but what the console shows.
 */
import type { UnfinishedPart } from "../../proxy/execution/in-doubt.ts";
import type { WorkerNews } from "../../proxy/execution/worker-news.ts";
import type { SharedCommand } from "../../proxy/console/other-workers.ts";
import type { ConsoleRows } from "../../proxy/console/console-answers.ts";
import type { ExitCode } from "../failure.ts";
import type { MetricValues } from "../../base/metrics.ts";

/** Asked of a worker, with what it answers. */
export interface WorkerQuestions {
  readonly isReady: { readonly about: undefined; readonly answer: boolean };
  readonly metrics: { readonly about: undefined; readonly answer: MetricValues };
  readonly clients: { readonly about: undefined; readonly answer: readonly unknown[] };
  readonly inDoubt: { readonly about: undefined; readonly answer: unknown };
  /** Puts the shard map of this text in force. */
  readonly apply: { readonly about: string; readonly answer: void };
  /** Looks at the control schema now, and answers once what it names is in force. */
  readonly look: { readonly about: undefined; readonly answer: void };
  /** Of commits that workers have left, which nobody may read before. */
  readonly unfinished: { readonly about: undefined; readonly answer: readonly UnfinishedPart[] };
  readonly news: { readonly about: WorkerNews; readonly answer: void };
  readonly show: { readonly about: string; readonly answer: ConsoleRows };
  readonly command: { readonly about: SharedCommand; readonly answer: void };
  readonly kill: { readonly about: number; readonly answer: boolean };
}

/** Asked of the supervisor. */
export interface SupervisorQuestions {
  /** It could not start, and ends. */
  readonly failed: {
    readonly about: { readonly message: string; readonly exitCode: ExitCode };
    readonly answer: void;
  };
  /** Answered once each worker has it, or has been ended. */
  readonly tellNews: { readonly about: WorkerNews; readonly answer: void };
  readonly reload: { readonly about: undefined; readonly answer: void };
  readonly showOthers: { readonly about: string; readonly answer: ConsoleRows };
  readonly commandOthers: { readonly about: SharedCommand; readonly answer: void };
  readonly killOther: { readonly about: number; readonly answer: boolean };
}

export interface CancelNotice {
  readonly kind: "cancel";
  readonly processId: number;
  readonly secretKey: Uint8Array;
}

export type ToWorker =
  | {
      readonly kind: "serve";
      readonly index: number;
      /** The shard map's; undefined where the control schema names it. */
      readonly mapText: string | undefined;
      readonly unfinished: readonly UnfinishedPart[];
    }
  | CancelNotice
  | { readonly kind: "drain" }
  | { readonly kind: "stop" };

export type ToSupervisor =
  | { readonly kind: "serving"; readonly port: number }
  | CancelNotice
  /** The console was told to drain. */
  | { readonly kind: "drain" };
