/** The statement within a PREPARE: what runs when it is executed. */

const PREPARE = /^\s*PREPARE\s+(?:"(?:[^"]|"")*"|[^\s("]+)\s*(?:\([^)]*\)\s*)?AS\s+([\s\S]+)$/i;

/** Undefined for another statement. */
export function preparedText(sql: string): string | undefined {
  return PREPARE.exec(sql)?.[1];
}
