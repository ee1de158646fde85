/** The modes of BEGIN, START TRANSACTION and SET TRANSACTION, out of the grammar's option lists. */
import type { DefElem, Node } from "@pgsql/types";
import { isOff, isOn as isOnWord } from "./boolean-word.ts";
import type { TransactionModes } from "./session-plan.ts";

const ISOLATION_LEVELS = [
  "read uncommitted",
  "read committed",
  "repeatable read",
  "serializable",
] as const;

/** The modes of BEGIN and SET TRANSACTION; the last of one kind counts, as in PostgreSQL. */
export function transactionModes(options: readonly Node[] | undefined): TransactionModes {
  let isolation: TransactionModes["isolation"];
  let readOnly: boolean | undefined;
  let deferrable: boolean | undefined;
  for (const option of options ?? []) {
    if (!("DefElem" in option)) continue;
    const { defname } = option.DefElem;
    if (defname === "transaction_isolation") isolation = isolationLevel(option.DefElem);
    else if (defname === "transaction_read_only") readOnly = isOn(option.DefElem);
    else if (defname === "transaction_deferrable") deferrable = isOn(option.DefElem);
  }
  return { isolation, readOnly, deferrable };
}

/** These last until the transaction ends, with or without LOCAL. */
export const TRANSACTION_SETTINGS: ReadonlySet<string> = new Set([
  "transaction_isolation",
  "transaction_read_only",
  "transaction_deferrable",
]);

/** A setting that is a mode of the transaction; undefined for others, and for a value that a server has to refuse. */
export function modesOfSetting(name: string, value: string): TransactionModes | undefined {
  const word = isOnWord(value) ? true : isOff(value) ? false : undefined;
  const isolation = ISOLATION_LEVELS.find((level) => level === value.toLowerCase());
  if (name === "transaction_isolation" && isolation !== undefined)
    return { isolation, readOnly: undefined, deferrable: undefined };
  if (name === "transaction_read_only" && word !== undefined)
    return { isolation: undefined, readOnly: word, deferrable: undefined };
  if (name === "transaction_deferrable" && word !== undefined)
    return { isolation: undefined, readOnly: undefined, deferrable: word };
  return undefined;
}

function isolationLevel({ arg }: DefElem): TransactionModes["isolation"] {
  const text = arg !== undefined && "A_Const" in arg ? arg.A_Const.sval?.sval : undefined;
  return ISOLATION_LEVELS.find((level) => level === text);
}

function isOn({ arg }: DefElem): boolean {
  return arg !== undefined && "A_Const" in arg && arg.A_Const.ival?.ival === 1;
}
