/** Errors that a client is told of, and whether they are those of the catalogue. */
import { expect } from "vitest";
import { ERRORS } from "../../base/sql-error.ts";
import type { ErrorDefinition, ErrorId } from "../../base/sql-error.ts";
import type { RawClient } from "../support/raw-client.ts";
import { readFields } from "../support/raw-frames.ts";
import type { Script } from "./conversation.ts";

export type Fields = Readonly<Record<string, string>>;

/** All errors that the client is told of. */
export async function errorsOf(client: RawClient, script: Script): Promise<readonly Fields[]> {
  const said = script.flat();
  client.write(Buffer.concat(said.map(({ bytes }) => bytes)));
  const errors: Fields[] = [];
  for (const { isAnswered } of said) {
    if (!isAnswered) continue;
    const { messages } = await client.untilReady();
    errors.push(...messages.filter(({ type }) => type === "E").map(({ body }) => readFields(body)));
  }
  return errors;
}

/** One error, by its id and what the catalogue says of it. */
export function expectRefused(errors: readonly Fields[], id: ErrorId, severity = "ERROR"): void {
  const { sqlstate, hint }: ErrorDefinition = ERRORS[id];
  expect(errors.map(({ S, R, C, H }) => ({ S, R, C, H }))).toEqual([
    { S: severity, R: id, C: sqlstate, H: hint },
  ]);
}
