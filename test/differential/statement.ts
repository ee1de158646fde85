/** What the generator hands to the runner. */
import type { Parameter } from "../support/raw-frames.ts";

export interface Statement {
  /** The kind of statement, for the distribution that the run prints. */
  readonly kind: string;
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  readonly order: RowOrder;
  /** Output columns, by index, whose values are the server's own: compared for NULL alone. */
  readonly opaqueColumns: readonly number[];
  readonly isWrite: boolean;
  /**
   * Several rows may each break a rule: the first to be met differs with their place, so
   * that two errors need not be the same one.
   */
  readonly mayFailTwice: boolean;
}

/** How much of the rows' order the statement fixes. */
export type RowOrder = "any" | "total";

/** One thing a client does, up to its ReadyForQuery. */
export type Step =
  | { readonly kind: "simple"; readonly sql: string; readonly statements: readonly Statement[] }
  | {
      readonly kind: "extended";
      readonly calls: readonly Call[];
      readonly statements: readonly Statement[];
    };

/** One message or two of the extended protocol; a Sync ends the step. */
export type Call =
  | {
      readonly kind: "parse";
      readonly name: string;
      readonly sql: string;
      readonly typeOids: readonly number[];
    }
  | {
      readonly kind: "bind";
      readonly statement: string;
      readonly portal: string;
      readonly parameters: readonly Parameter[];
      readonly resultFormats: readonly (0 | 1)[];
    }
  | { readonly kind: "describe"; readonly target: "S" | "P"; readonly name: string }
  | { readonly kind: "execute"; readonly portal: string; readonly rowsMax: number }
  | { readonly kind: "close"; readonly target: "S" | "P"; readonly name: string }
  | { readonly kind: "flush" };
