import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SqlError } from "../../base/sql-error.ts";
import { describeAddress, parseBackendAddress } from "../../proxy/backend/backend-address.ts";

function refusal(url: string): SqlError {
  try {
    parseBackendAddress(url);
  } catch (error) {
    if (error instanceof SqlError) return error;
    throw error;
  }
  throw new Error(`accepted ${url}`);
}

describe("what a URL says", () => {
  test("all of it", () => {
    const url =
      "postgresql://app%40x:s%3Ac%2Fret@db.example:6000/sales?sslmode=verify-full&sslrootcert=/etc/root.crt" +
      "&sslcert=/c.crt&sslkey=/c.key&channel_binding=require&application_name=shop%20front";
    expect(parseBackendAddress(url)).toEqual({
      server: { kind: "tcp", host: "db.example", port: 6000 },
      user: "app@x",
      password: "s:c/ret",
      database: "sales",
      sslMode: "verify-full",
      sslRootCertificate: "/etc/root.crt",
      sslCertificate: "/c.crt",
      sslKey: "/c.key",
      channelBinding: "require",
      applicationName: "shop front",
    });
  });

  test("defaults are libpq's: port 5432, the user's name as database, sslmode prefer", () => {
    expect(parseBackendAddress("postgres://app@h")).toMatchObject({
      server: { kind: "tcp", host: "h", port: 5432 },
      password: undefined,
      database: "app",
      sslMode: "prefer",
      channelBinding: "prefer",
    });
  });

  test("a unix socket, by parameter or encoded as host", () => {
    const server = { kind: "unix", directory: "/run/pg", port: 5433 };
    expect(parseBackendAddress("postgres://app@/db?host=/run/pg&port=5433").server).toEqual(server);
    expect(parseBackendAddress("postgres://app@%2Frun%2Fpg:5433/db").server).toEqual(server);
  });

  test("an IPv6 address", () => {
    const address = parseBackendAddress("postgres://app@[::1]:7000/db");
    expect(address.server).toEqual({ kind: "tcp", host: "::1", port: 7000 });
    expect(describeAddress(address)).toBe("app@[::1]:7000/db");
  });

  test("a parameter overrides the part it repeats, as in libpq", () => {
    expect(parseBackendAddress("postgres://a@h/x?user=b&dbname=y")).toMatchObject({
      user: "b",
      database: "y",
    });
  });
});

describe("what is refused", () => {
  test.each([
    ["mysql://app@h/db", "form postgres://"],
    ["app@h/db", "form postgres://"],
    ["postgres://h/db", "names no user"],
    ["postgres://app@/db", "names no host"],
    ["postgres://app@h:0/db", "port"],
    ["postgres://app@h:65536/db", "port"],
    ["postgres://app@h/db?port=x", "port"],
    ["postgres://app@h:5432,i:5433/db?host=h,i", "host"],
    ["postgres://app@h/db?host=h,i", "several hosts"],
    ["postgres://app@h/db?sslmode=on", "sslmode is not one of"],
    ["postgres://app@h/db?sslmod=require", '"sslmod" is not known'],
    ["postgres://app@h/db?sslmode", "has no value"],
    ["postgres://app@h/db?sslmode=verify-ca", "root certificates"],
    ["postgres://app@h/db?sslmode=require&sslrootcert=system", "verify-full"],
    ["postgres://app@h/db?sslcert=/a", "only one of sslcert and sslkey"],
    ["postgres://app@h/%zz", "percent"],
    ["postgres://app@h/a%00b", "zero byte"],
    ["postgres://app@[::1/db", "IPv6"],
    ["postgres://app@h/db?channel_binding=maybe", "channel_binding"],
  ])("%s", (url, problem) => {
    const error = refusal(url);
    expect(error.id).toBe("backend_url_invalid");
    expect(error.message).toContain(problem);
    expect(error.hint).toMatch(/\.$/);
  });

  test("a password that was not encoded is explained, and not printed", () => {
    for (const url of [
      "postgres://app:p?Secret=1@h/db",
      "postgres://app:p#Secret@h/db",
      "postgres://app:p/Secret@h/db",
    ]) {
      const { message, hint } = refusal(url);
      expect(`${message} ${hint}`).not.toContain("Secret");
      expect(hint).toContain("percent-encode");
    }
  });
});

test("an address as it is printed never holds the password", () => {
  const part = fc.stringMatching(/^[a-z][a-z0-9]{0,9}$/);
  fc.assert(
    fc.property(
      part,
      fc.string({ minLength: 8, unit: "grapheme-ascii" }),
      part,
      (user, password, database) => {
        fc.pre(!password.includes("\0"));
        const url = `postgres://${user}:${encodeURIComponent(password)}@h/${database}`;
        const address = parseBackendAddress(url);
        expect(address.password).toBe(password);
        expect(describeAddress(address)).toBe(`${user}@h:5432/${database}`);
      },
    ),
  );
});

test("any text is an address or a SqlError", () => {
  const parse = (url: string): unknown => {
    try {
      return parseBackendAddress(url).user;
    } catch (error) {
      return error;
    }
  };
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const url of [text, `postgres://${text}`, `postgres://u:p@h/${text}`]) {
        const outcome = parse(url);
        expect(typeof outcome === "string" || outcome instanceof SqlError).toBe(true);
      }
    }),
  );
});
