/** Verifiers and md5 secrets against those a real server stores for the same passwords. */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { md5Secret } from "../../proxy/protocol/md5.ts";
import {
  formatScramVerifier,
  makeScramVerifier,
  parseScramVerifier,
} from "../../proxy/protocol/scram.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

let server: TestPostgres;

beforeAll(async () => {
  server = await startPostgres({});
  await server.query(
    "postgres",
    `CREATE ROLE probe;
     CREATE FUNCTION stored(passwords text[], method text) RETURNS SETOF text
       LANGUAGE plpgsql SET scram_iterations = 1 AS $$
       DECLARE password text;
       BEGIN
         PERFORM set_config('password_encryption', method, true);
         FOREACH password IN ARRAY passwords LOOP
           EXECUTE format('ALTER ROLE probe PASSWORD %L', password);
           RETURN NEXT (SELECT rolpassword FROM pg_authid WHERE rolname = 'probe');
         END LOOP;
       END $$`,
  );
});

afterAll(() => server.stop());

async function stored(passwords: readonly string[], method: string): Promise<readonly string[]> {
  const sql = "SELECT stored FROM stored($1, $2)";
  const { rows } = await server.query("postgres", sql, [passwords, method]);
  return rows.map((row) => String(row["stored"]));
}

/** Around the edges of SASLprep's tables: spaces, dropped, prohibited, unassigned, both directions, compatibility forms. */
const character = fc.oneof(
  fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code)),
  fc.integer({ min: 0x80, max: 0x6ff }).map((code) => String.fromCodePoint(code)),
  fc.integer({ min: 0x2000, max: 0x2fff }).map((code) => String.fromCodePoint(code)),
  fc.integer({ min: 0xf900, max: 0xffff }).map((code) => String.fromCodePoint(code)),
  fc.constantFrom("\u00AD", "\u00A0", "\u0627", "\u0628", "\uFE8F", "\u2168", "\u0340", "\u0007"),
  fc.integer({ min: 0x10000, max: 0x10ffff }).map((code) => String.fromCodePoint(code)),
);
const password = fc
  .array(character, { minLength: 1, maxLength: 6 })
  .map((characters) => characters.join(""));

test("SCRAM verifiers of 5,000 passwords are the server's, to the letter", async () => {
  const passwords = fc.sample(password, { numRuns: 5_000, seed: 7677 });
  const secrets = await stored(passwords, "scram-sha-256");
  let same = 0;
  for (const [index, secret] of secrets.entries()) {
    const theirs = parseScramVerifier(secret);
    if (theirs === undefined) throw new Error(`no verifier: ${secret}`);
    const bytes = Buffer.from(passwords[index] ?? "");
    const ours = await makeScramVerifier(bytes, theirs.salt, theirs.iterations);
    const code = JSON.stringify(passwords[index]);
    expect(formatScramVerifier(ours), `password ${code}`).toBe(secret);
    same++;
  }
  expect(same).toBe(5_000);
});

test("md5 secrets are the server's", async () => {
  const passwords = fc.sample(password, { numRuns: 300, seed: 1 });
  const ours = passwords.map((each) => md5Secret("probe", Buffer.from(each)));
  expect(await stored(passwords, "md5")).toEqual(ours);
});
