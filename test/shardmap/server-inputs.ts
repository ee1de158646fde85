/** What a real server makes of inputs: the binary form of each value, which is what keys are compared by. */
import type pg from "pg";
import { expect } from "vitest";
import {
  compareKeys,
  KEY_TYPE_OIDS,
  keyFromBinary,
  type KeyType,
  type KeyValue,
} from "../../shardmap/shard-key.ts";

/** Each type's binary output function. */
export const SEND: Readonly<Record<KeyType, string>> = {
  smallint: "int2send",
  integer: "int4send",
  bigint: "int8send",
  uuid: "uuid_send",
  text: "textsend",
  varchar: "varcharsend",
  date: "date_send",
  timestamptz: "timestamptz_send",
};

/** Asks the server what each text is under the type: its binary form, or null for an error. */
export async function inputs(
  client: pg.Client,
  type: string,
  send: string,
  texts: readonly string[],
): Promise<readonly (Buffer | null)[]> {
  const { rows } = await client.query<{ bytes: Buffer | null }>(
    `SELECT CASE WHEN pg_input_is_valid(input, '${type}') THEN ${send}(input::${type}) END AS bytes
       FROM unnest($1::text[]) WITH ORDINALITY AS batch (input, n) ORDER BY n`,
    [texts],
  );
  return rows.map(({ bytes }) => bytes);
}

export function expectSame(claim: KeyValue, type: KeyType, bytes: Buffer): void {
  const actual = keyFromBinary(type, KEY_TYPE_OIDS[type], bytes);
  if (typeof actual === "string") throw new Error(`the server's own bytes are ${actual}`);
  expect(compareKeys(claim, actual)).toBe(0);
}
