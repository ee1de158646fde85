/** What a statement about the session needs: its transaction, its settings, its own objects. They have no rows and no route. */

export interface TransactionPlan {
  readonly kind: "transaction";
  readonly sql: string;
  readonly action:
    | {
        readonly kind: "begin";
        /** As the client wrote it: the command tag says so. */
        readonly command: "BEGIN" | "START TRANSACTION";
        readonly modes: TransactionModes;
      }
    /** SET TRANSACTION: the modes that are given replace those of the open transaction, before its first query. */
    | { readonly kind: "setModes"; readonly modes: TransactionModes }
    /** SET CONSTRAINTS ALL: up to the transaction's end, or to that of its savepoint. */
    | { readonly kind: "setConstraints" }
    | { readonly kind: "commit"; readonly chain: boolean }
    | { readonly kind: "rollback"; readonly chain: boolean }
    | { readonly kind: "savepoint"; readonly name: string }
    | { readonly kind: "release"; readonly name: string }
    | { readonly kind: "rollbackTo"; readonly name: string };
}

export interface TransactionModes {
  readonly isolation:
    | "read uncommitted"
    | "read committed"
    | "repeatable read"
    | "serializable"
    | undefined;
  readonly readOnly: boolean | undefined;
  readonly deferrable: boolean | undefined;
}

/** SET, RESET and their LOCAL forms: run on a backend for the answer, then kept and replayed. */
export interface SettingPlan {
  readonly kind: "setting";
  readonly sql: string;
  /** The command tag: SET ... TO DEFAULT resets, and is a SET. */
  readonly command: "SET" | "RESET";
  /** Lower case; undefined for RESET ALL. */
  readonly name: string | undefined;
  readonly scope: "session" | "local";
  readonly action: "set" | "reset";
  /** Of `transaction_read_only` and its kin: what it is within a transaction, a SET TRANSACTION. */
  readonly modes: TransactionModes | undefined;
}

/** A part of a statement as written, and where it stands, for the positions of its errors. */
export interface TextPiece {
  readonly text: string;
  readonly charactersBefore: number;
}

/** Statements about the session's own objects. */
export interface SessionPlan {
  readonly kind: "session";
  readonly sql: string;
  readonly action:
    | {
        readonly kind: "prepare";
        readonly name: string;
        /** Names of the parameters' types. */
        readonly types: readonly TextPiece[];
        readonly statement: TextPiece;
      }
    | {
        readonly kind: "execute";
        readonly name: string;
        readonly arguments: TextPiece & { readonly count: number };
        /** `EXPLAIN (...) `, which stands before EXECUTE; undefined where it is to run. */
        readonly explain: string | undefined;
      }
    | { readonly kind: "deallocate"; readonly name: string | undefined }
    | { readonly kind: "listen"; readonly channel: string }
    /** Without a channel: all of them. */
    | { readonly kind: "unlisten"; readonly channel: string | undefined }
    | { readonly kind: "discardAll" }
    | { readonly kind: "discardTemporary" }
    | { readonly kind: "discardSequences" }
    | { readonly kind: "discardPlans" };
}
