/**
 * What EXPLAIN shows of a statement that several databases answer: a node for what the
 * proxy does, and below it what each database is asked, with the plan that it says it has.
 * It knows no format; formats/ prints it in each of PostgreSQL's.
 */

export type ExplainFormat = "text" | "json" | "yaml" | "xml";

export interface ExplainNode {
  /** As the text format heads it. */
  readonly title: string;
  readonly properties: readonly ExplainProperty[];
  /** What the database answered to EXPLAIN, in the format asked for; undefined where it is not asked. */
  readonly document: string | undefined;
  readonly groups: readonly ExplainGroup[];
}

export interface ExplainProperty {
  readonly name: string;
  readonly value: string | number;
  /** In the text format under VERBOSE alone: it is long, or told by the title. */
  readonly isLong: boolean;
}

/** Children of one kind. */
export interface ExplainGroup {
  /** `Placements` in JSON and YAML; XML also names each: `Placement`. */
  readonly name: string;
  readonly itemName: string;
  readonly nodes: readonly ExplainNode[];
}

export function property(name: string, value: string | number): ExplainProperty {
  return { name, value, isLong: false };
}
