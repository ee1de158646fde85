/** The other processes that serve the same address, as the console of one reaches them. */
import type { WorkerNews } from "../execution/worker-news.ts";
import type { ConsoleRows } from "./console-answers.ts";
import type { ConsoleStatement } from "./console-statement.ts";

/** Commands that are to be done wherever what they are for is. */
export type WorkerCommand = Extract<
  ConsoleStatement,
  { kind: "pause" | "resume" | "killClient" | "killDatabase" }
>;

/** Those of them that each worker has to do. */
export type SharedCommand = Exclude<WorkerCommand, { kind: "killClient" }>;

export interface OtherWorkers {
  /** The rows of a SHOW, of those that answer. */
  show(name: string): Promise<ConsoleRows>;
  /** Rejects with what one of them says. */
  command(command: SharedCommand): Promise<void>;
  /** False where none of them has such a client. */
  kill(id: number): Promise<boolean>;
}

const NO_OTHER_WORKERS: OtherWorkers = {
  show: async () => [],
  command: async () => undefined,
  kill: async () => false,
};

/** A worker among those of one address. */
export interface WorkerPlace {
  /** From 0. */
  readonly index: number;
  readonly count: number;
  readonly others: OtherWorkers;
  /** A cancel request for a client of another worker. */
  readonly passCancel: (processId: number, secretKey: Buffer) => void;
  /** Resolves once it is in force in the others. */
  readonly tell: (news: WorkerNews) => Promise<void>;
  /** What the others have told, and will tell. */
  readonly onNews: (heed: (news: WorkerNews) => Promise<void>) => void;
}

export const ALONE: WorkerPlace = {
  index: 0,
  count: 1,
  others: NO_OTHER_WORKERS,
  passCancel: () => undefined,
  tell: async () => undefined,
  onNews: () => undefined,
};
