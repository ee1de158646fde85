/** Every way into a real server, and every way of being refused by one. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { databaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import { parseBackendAddress } from "../../proxy/backend/backend-address.ts";
import { BackendConnection } from "../../proxy/backend/backend-connection.ts";
import { startPostgres } from "../support/postgres.ts";
import type { TestPostgres } from "../support/postgres.ts";

const NAME = databaseName("users0");
const PASSWORD = "s3cret:/?#@ ü";

const HBA = [
  "host      all trusted   127.0.0.1/32 trust",
  "host      all clear     127.0.0.1/32 password",
  "host      all hashed    127.0.0.1/32 md5",
  "host      all scrammed  127.0.0.1/32 scram-sha-256",
  "hostssl   all tls_only  127.0.0.1/32 scram-sha-256",
  "hostnossl all no_tls    127.0.0.1/32 scram-sha-256",
  "hostssl   all certified 127.0.0.1/32 cert",
];

let server: TestPostgres;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "colonnade-tls-"));
  const authority = await generate([{ name: "commonName", value: "Test CA" }], {
    extensions: [{ name: "basicConstraints", cA: true, critical: true }],
  });
  const signed = { ca: { key: authority.private, cert: authority.cert } };
  const own = await generate([{ name: "commonName", value: "localhost" }], {
    ...signed,
    extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: "localhost" }] }],
  });
  const stranger = await generate([{ name: "commonName", value: "Other CA" }]);
  const client = await generate([{ name: "commonName", value: "certified" }], signed);
  const files = {
    "root.crt": authority.cert,
    "stranger.crt": stranger.cert,
    "client.crt": client.cert,
    "client.key": client.private,
    "not-pem.crt": "hello",
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  server = await startPostgres({
    hba: HBA,
    tls: { certificate: own.cert, key: own.private },
    settings: { ssl_ca_file: await serverFile(authority.cert) },
  });
  for (const role of ["trusted", "clear", "scrammed", "tls_only", "no_tls", "certified"]) {
    await server.query("postgres", `CREATE ROLE ${role} LOGIN PASSWORD '${PASSWORD}'`);
  }
  await server.query(
    "postgres",
    `SET password_encryption = md5; CREATE ROLE hashed LOGIN PASSWORD '${PASSWORD}'`,
  );
});

/** Readable by the server's own OS user. */
async function serverFile(text: string): Promise<string> {
  const path = join(tmpdir(), `colonnade-ca-${process.pid}.crt`);
  await writeFile(path, text, { mode: 0o644 });
  return path;
}

afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true });
  await rm(join(tmpdir(), `colonnade-ca-${process.pid}.crt`), { force: true });
});

interface How {
  readonly user: string;
  readonly password?: string;
  readonly host?: string;
  readonly query?: string;
  readonly database?: string;
}

async function open(how: How): Promise<BackendConnection> {
  const credentials = `${how.user}${how.password === undefined ? "" : `:${encodeURIComponent(how.password)}`}`;
  const url = `postgres://${credentials}@${how.host ?? "127.0.0.1"}:${server.port}/${how.database ?? "postgres"}?${how.query ?? ""}`;
  const address = parseBackendAddress(url.replaceAll("DIR", directory));
  return await BackendConnection.open(address, { database: NAME, connectTimeoutMs: 5_000 });
}

async function enters(how: How): Promise<"tls" | "plain"> {
  const connection = await open(how);
  try {
    const { rows } = await connection.query(
      "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    expect(rows).toEqual([[how.user, connection.isEncrypted ? "t" : "f"]]);
    return connection.isEncrypted ? "tls" : "plain";
  } finally {
    connection.close();
    await connection.ended;
  }
}

async function refusal(how: How): Promise<SqlError> {
  const outcome = await open(how).catch((error: unknown) => error);
  if (outcome instanceof BackendConnection) outcome.destroy();
  if (!(outcome instanceof SqlError)) throw new Error(`not refused: ${JSON.stringify(how)}`);
  expect(outcome.message).toContain('database "users0"');
  const words = `${outcome.message} ${outcome.detail} ${outcome.hint}`;
  expect(words).not.toContain(how.password ?? "\0");
  return outcome;
}

describe("methods", () => {
  test.each(["clear", "hashed", "scrammed"])(
    "%s: the right password, with TLS and without",
    async (user) => {
      expect(await enters({ user, password: PASSWORD, query: "sslmode=disable" })).toBe("plain");
      expect(await enters({ user, password: PASSWORD, query: "sslmode=require" })).toBe("tls");
    },
  );

  test("trust needs no password", async () => {
    expect(await enters({ user: "trusted", query: "sslmode=disable" })).toBe("plain");
  });

  test.each(["clear", "hashed", "scrammed"])("%s: a wrong password, and none", async (user) => {
    const wrong = await refusal({ user, password: "not that one" });
    expect(wrong).toMatchObject({ id: "backend_rejected", sqlstate: "08004" });
    expect(wrong.message).toContain(`password authentication failed for user "${user}"`);
    expect((await refusal({ user })).message).toContain(
      "asks for a password and the URL gives none",
    );
  });

  test("a client certificate", async () => {
    const query = "sslmode=require&sslcert=DIR/client.crt&sslkey=DIR/client.key";
    expect(await enters({ user: "certified", query })).toBe("tls");
    expect((await refusal({ user: "certified", query: "sslmode=require" })).id).toMatch(
      /backend_rejected|backend_tls_failed/,
    );
  });

  test("SCRAM binds to the TLS channel, and channel_binding=require insists on it", async () => {
    const scram = { user: "scrammed", password: PASSWORD };
    expect(await enters({ ...scram, query: "sslmode=require&channel_binding=require" })).toBe(
      "tls",
    );
    expect(await enters({ ...scram, query: "sslmode=require&channel_binding=disable" })).toBe(
      "tls",
    );
    for (const how of [
      { ...scram, query: "sslmode=disable&channel_binding=require" },
      { user: "clear", password: PASSWORD, query: "sslmode=require&channel_binding=require" },
      { user: "hashed", password: PASSWORD, query: "sslmode=require&channel_binding=require" },
      { user: "trusted", query: "sslmode=require&channel_binding=require" },
    ]) {
      expect((await refusal(how)).message).toContain("channel binding is required");
    }
  });

  test("what the server does not know", async () => {
    const nobody = await refusal({ user: "nobody" });
    expect(nobody).toMatchObject({ id: "backend_rejected" });
    const nowhere = await refusal({ user: "trusted", database: "nowhere" });
    expect(nowhere).toMatchObject({ id: "backend_rejected" });
    expect(nowhere.message).toContain('database "nowhere" does not exist');
    expect(nowhere.detail).toContain(`trusted@127.0.0.1:${server.port}/nowhere`);
  });
});

describe("sslmode", () => {
  const ok = { user: "scrammed", password: PASSWORD };

  test.each([
    ["disable", "plain"],
    ["allow", "plain"],
    ["prefer", "tls"],
    ["require", "tls"],
  ])("%s against a server that takes both: %s", async (mode, encryption) => {
    expect(await enters({ ...ok, query: `sslmode=${mode}` })).toBe(encryption);
  });

  test("allow turns to TLS, and prefer away from it, where pg_hba.conf insists", async () => {
    expect(await enters({ user: "tls_only", password: PASSWORD, query: "sslmode=allow" })).toBe(
      "tls",
    );
    expect(await enters({ user: "no_tls", password: PASSWORD, query: "sslmode=prefer" })).toBe(
      "plain",
    );
    expect(
      (await refusal({ user: "tls_only", password: PASSWORD, query: "sslmode=disable" })).id,
    ).toBe("backend_rejected");
    expect(
      (await refusal({ user: "no_tls", password: PASSWORD, query: "sslmode=require" })).id,
    ).toBe("backend_rejected");
  });

  test.each([
    ["verify-ca&sslrootcert=DIR/root.crt", "127.0.0.1", "tls"],
    ["verify-ca&sslrootcert=DIR/root.crt", "localhost", "tls"],
    ["verify-full&sslrootcert=DIR/root.crt", "localhost", "tls"],
    ["verify-full&sslrootcert=DIR/root.crt", "127.0.0.1", "backend_tls_failed"],
    ["verify-ca&sslrootcert=DIR/stranger.crt", "localhost", "backend_tls_failed"],
    ["verify-full&sslrootcert=DIR/stranger.crt", "localhost", "backend_tls_failed"],
    ["verify-full&sslrootcert=system", "localhost", "backend_tls_failed"],
    ["verify-full&sslrootcert=DIR/missing.crt", "localhost", "backend_tls_failed"],
    ["verify-full&sslrootcert=DIR/not-pem.crt", "localhost", "backend_tls_failed"],
    ["require&sslrootcert=DIR/root.crt", "127.0.0.1", "tls"],
    ["require&sslrootcert=DIR/stranger.crt", "127.0.0.1", "backend_tls_failed"],
    ["require", "127.0.0.1", "tls"],
  ])("sslmode=%s at %s: %s", async (mode, host, outcome) => {
    const how = { ...ok, host, query: `sslmode=${mode}` };
    const seen = outcome === "tls" ? await enters(how) : (await refusal(how)).id;
    expect(seen).toBe(outcome);
  });

  test("against a server without TLS", async () => {
    await using plain = await startPostgres();
    const at = (mode: string) => parseBackendAddress(`${plain.url()}?sslmode=${mode}`);
    const options = { database: NAME, connectTimeoutMs: 5_000 };
    for (const mode of ["disable", "allow", "prefer"]) {
      const connection = await BackendConnection.open(at(mode), options);
      expect(connection.isEncrypted).toBe(false);
      connection.close();
    }
    await expect(BackendConnection.open(at("require"), options)).rejects.toMatchObject({
      id: "backend_tls_failed",
      message: expect.stringContaining("does not support TLS"),
    });
  });

  test("a statement is cancelled over TLS where the connection is", async () => {
    const connection = await open({ ...ok, query: "sslmode=require" });
    const running = connection.query("SELECT pg_sleep(60)").catch((error: unknown) => error);
    await connection.cancel();
    expect(await running).toMatchObject({ fields: { C: "57014" } });
    expect(await connection.query("SELECT 1")).toMatchObject({ rows: [["1"]] });
    connection.close();
  });
});

describe("the start-up packet", () => {
  test("settings and the application's name reach the server", async () => {
    const address = parseBackendAddress(`${server.url()}?application_name=proxy%20one`);
    const settings = new Map([["timezone", "Europe/Vienna"]]);
    const connection = await BackendConnection.open(address, {
      database: NAME,
      settings,
      connectTimeoutMs: 5_000,
    });
    expect(connection.parameters.get("TimeZone")).toBe("Europe/Vienna");
    expect(connection.parameters.get("application_name")).toBe("proxy one");
    expect(connection.parameters.get("client_encoding")).toBe("UTF8");
    await connection.query("SET timezone = 'Asia/Tokyo'");
    expect(connection.parameters.get("TimeZone")).toBe("Asia/Tokyo");
    connection.close();
  });
});
