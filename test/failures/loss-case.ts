/** One row of docs/failures.md, and what it is played with. */
import type { RawClient } from "../support/raw-client.ts";
import type { TestProxy } from "../support/proxy.ts";
import type { ThreeDatabases } from "./three-databases.ts";

export interface Play {
  readonly databases: ThreeDatabases;
  readonly proxy: TestProxy;
  /** Connected to the proxy. */
  readonly client: RawClient;
}

export interface LossCase {
  readonly when: string;
  /** A SQLSTATE, the tag of the command, or `nothing` where there is nobody to be told. */
  readonly told: string;
  /** In the words of the document. */
  readonly outcome: string;
  /** What the three rows are in the end, from the third on what they were before. */
  readonly notes: readonly string[];
  /** Gives what the client was told. */
  readonly play: (play: Play) => Promise<string>;
}

export interface LossGroup {
  /** A heading of the document. */
  readonly lost: string;
  readonly cases: readonly LossCase[];
}
