/** Columns that the proxy itself fills, since all databases must agree on their values. */

import type { SqlTemplate } from "./sql-template.ts";

export interface GeneratedColumn {
  readonly column: string;
  readonly source:
    | {
        readonly kind: "sequence";
        readonly schema: string;
        readonly sequence: string;
        /** Who may insert into the table may draw from it. */
        readonly isIdentity: boolean;
      }
    | { readonly kind: "randomUuid" }
    /** Its own default, as pg_get_expr prints it, written out so that rows of several databases have one time. */
    | { readonly kind: "clockDefault"; readonly template: SqlTemplate };
}
