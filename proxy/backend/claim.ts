/** On what grounds somebody asks for a connection of a pool: what decides when it is served, and whether it may be refused. */
import type { Priority } from "../../base/priority.ts";

export interface Claim {
  /**
   * `holding`: a transaction that holds connections already, so that others wait for it. `own`: the
   * proxy's own work, which transactions wait for. Neither is refused for overload. `new`: the rest.
   */
  readonly standing: "holding" | "own" | "new";
  readonly priority: Priority;
  /** Whose it is: users take turns, however much each has waiting. */
  readonly user: string;
}

export const OWN_CLAIM: Claim = { standing: "own", priority: "high", user: "" };
