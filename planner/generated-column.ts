/** Columns that the proxy itself fills, since all databases must agree on their values. */

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
    /** Its own default, written out where rows of several databases are to have one time: SQL, as pg_get_expr prints it. */
    | { readonly kind: "clockDefault"; readonly sql: string };
}
