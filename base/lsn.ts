/** Positions in PostgreSQL's write-ahead log, as it prints them and as messages carry them. */
import type { Brand } from "./ids.ts";

/** A byte position in a server's write-ahead log. Ordered; a bigint keeps all 64 bits. */
export type Lsn = Brand<bigint, "Lsn">;

export const LSN_ZERO = lsn(0n);

export function lsn(position: bigint): Lsn {
  return position as Lsn;
}

/** `16/B374D848`, as pg_lsn prints it. Undefined for another text. */
export function parseLsn(text: string): Lsn | undefined {
  const match = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i.exec(text);
  if (match === null) return undefined;
  const [, high = "", low = ""] = match;
  return lsn((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`));
}

export function printLsn(position: Lsn): string {
  const part = (value: bigint): string => value.toString(16).toUpperCase();
  return `${part(position >> 32n)}/${part(position & 0xffffffffn)}`;
}
