/** The steps of a commit over `a`, `b` and `c` (three-databases.ts), each with what stops a proxy there. */
import type { Stop } from "../support/gate.ts";
import type { ThreeDatabases } from "./three-databases.ts";

export interface CommitStep {
  /** As docs/failures.md has it. */
  readonly when: string;
  readonly outcome: "committed" | "rolled back";
  readonly stop: (databases: ThreeDatabases) => Stop;
}

export const COMMIT_STEPS: readonly CommitStep[] = [
  {
    when: "between the first PREPARE and the second",
    outcome: "rolled back",
    stop: ({ gates }) => gates.second.stop("request", "PREPARE TRANSACTION", ":c'"),
  },
  {
    when: "after the last PREPARE, before the commit record",
    outcome: "rolled back",
    stop: ({ gates }) => gates.first.stop("request", "INSERT INTO colonnade.commit_record"),
  },
  {
    when: "after the commit record has committed, before it hears of that",
    outcome: "committed",
    stop: ({ gates }) => gates.first.stop("answer", "INSERT INTO colonnade.commit_record"),
  },
  {
    when: "between the first COMMIT PREPARED and the second",
    outcome: "committed",
    stop: ({ gates }) => gates.second.stop("request", "COMMIT PREPARED", ":c'"),
  },
  {
    when: "after the last COMMIT PREPARED, before it hears of that",
    outcome: "committed",
    stop: ({ gates }) => gates.second.stop("answer", "COMMIT PREPARED", ":c'"),
  },
];
