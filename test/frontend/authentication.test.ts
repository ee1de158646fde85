import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { Client } from "pg";
import { beforeAll, describe, expect, test } from "vitest";
import type { AuthenticationPolicy } from "../../proxy/frontend/authentication.ts";
import { md5Secret } from "../../proxy/protocol/md5.ts";
import { formatScramVerifier, makeScramVerifier } from "../../proxy/protocol/scram.ts";
import type { Echo } from "./echo-host.ts";
import { listening, makeCertificate, usersOf } from "./listening.ts";
import type { Certificate, Listening } from "./listening.ts";

const PASSWORD = 'pa"ss wörd ªⅨ';
const SECRETS: Record<string, string> = { plain: PASSWORD, hashed: "", verified: "" };
let certificate: Certificate;

beforeAll(async () => {
  certificate = await makeCertificate();
  const password = Buffer.from(PASSWORD);
  SECRETS["hashed"] = md5Secret("hashed", password);
  SECRETS["verified"] = formatScramVerifier(
    await makeScramVerifier(password, Buffer.from("0123456789abcdef"), 4096),
  );
});

type Method = AuthenticationPolicy["method"];

function policy(method: Method): AuthenticationPolicy {
  return method === "trust" ? { method } : { method, users: usersOf(SECRETS) };
}

function withTls(method: Method): Promise<Listening> {
  return listening({
    authentication: policy(method),
    tls: { ...certificate, isRequired: false },
  });
}

/** What stored secret a method can check; the others are refused like wrong passwords. */
const ACCEPTED: readonly (readonly [Method, boolean, readonly string[]])[] = [
  ["trust", false, ["plain", "hashed", "verified", "nobody"]],
  ["password", true, ["plain", "hashed", "verified"]],
  ["md5", false, ["plain", "hashed", "verified"]],
  ["md5", true, ["plain", "hashed", "verified"]],
  ["scram-sha-256", false, ["plain", "verified"]],
  ["scram-sha-256", true, ["plain", "verified"]],
];

describe.each(ACCEPTED)("method %s, TLS %s", (method, isTls, accepted) => {
  for (const user of ["plain", "hashed", "verified", "nobody"]) {
    test(`${accepted.includes(user) ? "lets in" : "refuses"} ${user}: node-postgres and psql`, async () => {
      await using server = await withTls(method);
      const outcomes = await Promise.all([
        withNodePostgres(server.port, user, PASSWORD, isTls),
        withPsql(server.port, user, PASSWORD, isTls ? "require" : "disable"),
      ]);
      const expected = accepted.includes(user) ? user : failure(user);
      expect(outcomes).toEqual([expected, expected]);
    });

    if (method === "trust") continue;
    test(`refuses ${user} with a wrong password`, async () => {
      await using server = await withTls(method);
      const outcomes = await Promise.all([
        withNodePostgres(server.port, user, "wrong", isTls),
        withPsql(server.port, user, "wrong", isTls ? "require" : "disable"),
      ]);
      expect(outcomes).toEqual([failure(user), failure(user)]);
      expect(server.host.clients.size).toBe(0);
    });
  }
});

function failure(user: string): string {
  return `28P01 password authentication failed for user "${user}"`;
}

async function withNodePostgres(
  port: number,
  user: string,
  password: string,
  isTls: boolean,
  enableChannelBinding = false,
): Promise<string> {
  const client = new Client({
    host: "127.0.0.1",
    port,
    user,
    password,
    database: "d",
    ssl: isTls ? { rejectUnauthorized: false } : false,
    enableChannelBinding,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ echo: string }>("who");
    return (JSON.parse(rows[0]?.echo ?? "") as Echo).user;
  } catch (error) {
    return `${(error as { code?: string }).code} ${(error as Error).message}`;
  } finally {
    await client.end();
  }
}

async function withPsql(
  port: number,
  user: string,
  password: string,
  sslmode: string,
  more = "",
): Promise<string> {
  const connection = `host=127.0.0.1 port=${port} user=${user} dbname=d sslmode=${sslmode} gssencmode=disable ${more}`;
  try {
    const { stdout } = await promisify(execFile)(
      "/usr/bin/psql",
      ["-X", "-A", "-t", "-w", "-v", "VERBOSITY=verbose", "-c", "who", connection],
      { env: { PGPASSWORD: password, HOME: "/nonexistent" }, timeout: 15_000 },
    );
    return (JSON.parse(stdout) as Echo).user;
  } catch (error) {
    const { stderr } = error as { stderr: string };
    const message = /FATAL: +(.*)/.exec(stderr)?.[1];
    return message?.includes("password authentication failed") ? `28P01 ${message}` : stderr;
  }
}

describe("channel binding", () => {
  test("SCRAM-SHA-256-PLUS binds to our certificate: node-postgres", async () => {
    await using server = await withTls("scram-sha-256");
    expect(await withNodePostgres(server.port, "verified", PASSWORD, true, true)).toBe("verified");
    expect(await withNodePostgres(server.port, "verified", "wrong", true, true)).toBe(
      failure("verified"),
    );
  });

  test("libpq insists on it with channel_binding=require", async () => {
    await using server = await withTls("scram-sha-256");
    const outcome = await withPsql(
      server.port,
      "verified",
      PASSWORD,
      "require",
      "channel_binding=require",
    );
    expect(outcome).toBe("verified");
  });

  test("libpq with channel_binding=disable is let in as well", async () => {
    await using server = await withTls("scram-sha-256");
    const more = "channel_binding=disable";
    expect(await withPsql(server.port, "verified", PASSWORD, "require", more)).toBe("verified");
  });
});

test("cleartext is refused without TLS, before a password is asked for", async () => {
  await using server = await withTls("password");
  expect(await withNodePostgres(server.port, "plain", PASSWORD, false)).toBe(
    '28000 password authentication for user "plain" requires TLS',
  );
});

test("a store that fails fails the login, and no more than that", async () => {
  let isDown = true;
  const users = usersOf(SECRETS);
  await using server = await listening({
    authentication: {
      method: "scram-sha-256",
      users: {
        lookup: (user) => (isDown ? Promise.reject(new Error("down")) : users.lookup(user)),
      },
    },
  });
  expect(await withNodePostgres(server.port, "verified", PASSWORD, false)).toBe(
    "XX000 internal error of the proxy",
  );
  isDown = false;
  expect(await withNodePostgres(server.port, "verified", PASSWORD, false)).toBe("verified");
});
