import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  USER_SECRET_TTL_MS,
  USER_SECRETS_MAX,
  USERS_FILE_BYTES_MAX,
  USERS_FILE_CHECK_INTERVAL_MS,
} from "../../base/limits.ts";
import { createLog } from "../../base/log.ts";
import { QueryUserStore } from "../../proxy/frontend/query-user-store.ts";
import { parseUsersFile, UsersFile, UsersFileError } from "../../proxy/frontend/users-file.ts";

const SCRAM =
  "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

describe("users file", () => {
  test("the forms of a secret, comments, quotes, and what follows", () => {
    const users = parseUsersFile(
      `; comment\n\n"a" "plain"\r\n  "b"\t"md53175bce1d3201d16594cebf9d7eb3f9d" "ignored"\n"c" "${SCRAM}"\n"d""d" "p""w"\n"none" ""`,
      "f",
    );
    const kinds = [...users].map(([user, { kind }]) => [user, kind]);
    expect(kinds).toEqual([
      ["a", "plain"],
      ["b", "md5"],
      ["c", "scram"],
      ['d"d', "plain"],
    ]);
    expect(users.get('d"d')).toEqual({ kind: "plain", password: Buffer.from('p"w') });
  });

  test.each([
    ['"a" "p"\n"b"', 'f:2: expected "user" "secret", both in double quotes'],
    ["a p", 'f:1: expected "user" "secret", both in double quotes'],
    ['"a" "p', 'f:1: expected "user" "secret", both in double quotes'],
    ['"a" "p"x', 'f:1: expected "user" "secret", both in double quotes'],
    ['"" "p"', "f:1: the user's name is empty"],
    ['"a" "p"\n\n"a" "q"', 'f:3: user "a" stands already on line 1'],
  ])("%j", (text, message) => {
    expect(() => parseUsersFile(text, "f")).toThrow(new UsersFileError(message));
  });

  test("a change is read; a broken or missing file leaves the users before", async () => {
    const folder = await mkdtemp(join(tmpdir(), "users-"));
    try {
      const path = join(folder, "users.txt");
      let nowMs = 0;
      let changedSeconds = 1_000;
      const write = async (text: string): Promise<void> => {
        await writeFile(path, text);
        changedSeconds++;
        await utimes(path, changedSeconds, changedSeconds);
        nowMs += USERS_FILE_CHECK_INTERVAL_MS;
      };
      await write('"a" "1"');
      const users = await UsersFile.open({ path, now: () => nowMs, log: createLog("fatal") });
      const first = await users.lookup("a");
      expect(first).toEqual({ kind: "plain", password: Buffer.from("1") });
      expect(await users.lookup("a")).toBe(first);

      await write('"a" "2"');
      expect(await users.lookup("a")).toEqual({ kind: "plain", password: Buffer.from("2") });
      await write("broken");
      expect(await users.lookup("a")).toEqual({ kind: "plain", password: Buffer.from("2") });
      await rm(path);
      nowMs += USERS_FILE_CHECK_INTERVAL_MS;
      expect(await users.lookup("a")).toEqual({ kind: "plain", password: Buffer.from("2") });
      await write('"b" "3"');
      expect([await users.lookup("a"), (await users.lookup("b"))?.kind]).toEqual([
        undefined,
        "plain",
      ]);

      await writeFile(path, Buffer.alloc(USERS_FILE_BYTES_MAX + 1, ";"));
      const open = UsersFile.open({ path, now: () => nowMs, log: createLog("fatal") });
      await expect(open).rejects.toThrow(UsersFileError);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("users by query", () => {
  test("asks once for all who ask at once, and again when the answer is old", async () => {
    let nowMs = 0;
    const asked: string[] = [];
    const store = new QueryUserStore({
      now: () => nowMs,
      query: (user) => {
        asked.push(user);
        return Promise.resolve(user === "a" ? SCRAM : null);
      },
    });
    const found = await Promise.all([store.lookup("a"), store.lookup("a"), store.lookup("x")]);
    expect(found.map((each) => each?.kind)).toEqual(["scram", "scram", undefined]);
    expect(found[0]).toBe(found[1]);
    await store.lookup("x");
    expect(asked).toEqual(["a", "x"]);
    nowMs = USER_SECRET_TTL_MS;
    await store.lookup("a");
    expect(asked).toEqual(["a", "x", "a"]);
  });

  test("a failure is no answer", async () => {
    let isDown = true;
    const store = new QueryUserStore({
      now: () => 0,
      query: () => (isDown ? Promise.reject(new Error("down")) : Promise.resolve("p")),
    });
    await expect(store.lookup("a")).rejects.toThrow("down");
    isDown = false;
    expect((await store.lookup("a"))?.kind).toBe("plain");
  });

  test("invented names push out the oldest, and do not pile up", async () => {
    let asked = 0;
    const store = new QueryUserStore({
      now: () => 0,
      query: () => {
        asked++;
        return Promise.resolve(null);
      },
    });
    for (let index = 0; index <= USER_SECRETS_MAX; index++) await store.lookup(`user${index}`);
    await store.lookup(`user${USER_SECRETS_MAX}`);
    expect(asked).toBe(USER_SECRETS_MAX + 1);
    await store.lookup("user0");
    expect(asked).toBe(USER_SECRETS_MAX + 2);
  });
});
