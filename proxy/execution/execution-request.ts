/** What an execution is asked for, and what it is given to do it with. */
import type { DatabaseName } from "../../base/ids.ts";
import type { Metrics } from "../../base/metrics.ts";
import type { Fragment, PhysicalPlan } from "../../planner/physical-plan.ts";
import type { ColumnDescription } from "../protocol/backend/row-description.ts";
import type { FragmentProtocol, FragmentRequest, OidTranslation } from "./fragment-request.ts";
import type { GatherTypes } from "./gather/gather.ts";
import type { PlacementUse } from "./placement-use.ts";

export interface ExecutionRequest {
  readonly plan: PhysicalPlan;
  readonly protocol: FragmentProtocol;
  /** The client's columns in its formats; needed where rows are gathered. */
  readonly output: readonly ColumnDescription[] | undefined;
  /** Whether the client reads column descriptions with the rows (simple protocol). */
  readonly describe: boolean;
}

export interface ExecutorOptions {
  readonly translation: (database: DatabaseName) => OidTranslation;
  readonly types: GatherTypes;
  readonly catalogEpoch: number;
  readonly catalog: DatabaseName;
  /** What one statement may copy into temporary tables. */
  readonly databaseGatherBytesMax: number;
  readonly metrics: Metrics;
  readonly use: PlacementUse;
}

/** One text as a database is asked it: its parameters' types in that database's OIDs. */
export function fragmentRequest(
  text: Pick<Fragment, "database" | "rendered" | "placementIds">,
  protocol: FragmentProtocol,
  describe: boolean,
  { translation: of, catalogEpoch, use }: ExecutorOptions,
): FragmentRequest {
  const types =
    protocol.kind === "extended" ? protocol.parameters.map(({ typeOid }) => typeOid) : [];
  const translation = of(text.database);
  return {
    rendered: text.rendered,
    protocol,
    catalogEpoch,
    translation,
    parameterTypes: translation.parameterTypes(types),
    describe,
    places: text.placementIds,
    use,
  };
}
