/** Where a statement of DDL or maintenance may run. */
export type TransactionBlock =
  /** Runs in the open transaction, or in one of its own. */
  | "joined"
  /** PostgreSQL refuses it in a transaction block (VACUUM): each step commits alone. */
  | "refused"
  /** PostgreSQL refuses it elsewhere (LOCK TABLE): it would mean nothing. */
  | "required";
