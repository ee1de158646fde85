/** A start is refused by the field whose file is wrong, before anything listens. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generate } from "selfsigned";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireConfig } from "../../cli/input-files.ts";
import { runCommand } from "../support/command.ts";

let directory: string;
const file = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-config-"));
  const [own, other] = await Promise.all(
    ["own", "other"].map(
      async (name) => await generate([{ name: "commonName", value: name }], { keySize: 2048 }),
    ),
  );
  mkdirSync(file("tls"));
  writeFileSync(file("tls/cert.pem"), own?.cert ?? "");
  writeFileSync(file("tls/key.pem"), own?.private ?? "");
  writeFileSync(file("tls/other-key.pem"), other?.private ?? "");
  writeFileSync(file("text"), "nothing of the kind\n");
  writeFileSync(
    file("console-users.txt"),
    `; operators\n"ops" "secret"\n"old" "md5${"0123456789abcdef".repeat(2)}"\n"mute" ""\n`,
  );
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function written(text: string): string {
  writeFileSync(file("config.yaml"), text);
  return file("config.yaml");
}

const tls = (cert: string, key: string): string =>
  `listen:\n  tls: { cert: ${cert}, key: ${key} }\n`;

function refused(text: string): string {
  const path = written(text);
  try {
    requireConfig(path);
  } catch (error) {
    return (error as Error).message.replaceAll(`${directory}/`, "");
  }
  throw new Error("the configuration was taken");
}

test("relative paths start at the configuration's directory", () => {
  const config = requireConfig(
    written(
      `${tls("tls/cert.pem", file("tls/key.pem"))}auth: { method: md5, users_file: ./text }\n`,
    ),
  );
  expect(config.listen.tls).toMatchObject({
    cert: file("tls/cert.pem"),
    key: file("tls/key.pem"),
  });
  expect(config.auth.users_file).toBe(file("text"));
});

test.each([
  [
    "a missing certificate",
    tls("nowhere.pem", "tls/key.pem"),
    "config.yaml:2:16: listen.tls.cert: cannot read nowhere.pem: there is no such file",
  ],
  [
    "a missing key",
    tls("tls/cert.pem", "nowhere.pem"),
    "config.yaml:2:35: listen.tls.key: cannot read nowhere.pem: there is no such file",
  ],
  [
    "a directory",
    tls("tls", "tls/key.pem"),
    "config.yaml:2:16: listen.tls.cert: cannot read tls: it is a directory",
  ],
  [
    "no certificate",
    tls("text", "tls/key.pem"),
    "config.yaml:2:16: listen.tls.cert: text holds no certificate in PEM format",
  ],
  [
    "no key",
    tls("tls/cert.pem", "text"),
    "config.yaml:2:35: listen.tls.key: text holds no private key in PEM format",
  ],
  [
    "another certificate's key",
    tls("tls/cert.pem", "tls/other-key.pem"),
    "config.yaml:2:35: listen.tls.key: tls/other-key.pem is not the key of the certificate in tls/cert.pem",
  ],
  [
    "a missing users file",
    "auth:\n  method: md5\n  users_file: users.txt\n",
    "config.yaml:3:15: auth.users_file: cannot read users.txt: there is no such file",
  ],
  [
    "a console user without a line",
    "console:\n  admin_users: [ops, ann]\n  users_file: console-users.txt\n",
    'config.yaml:3:15: console.users_file: user "ann" may use the console, and has no line in console-users.txt. Add the line "ann" "password" to it',
  ],
  [
    "a console user with an md5 password",
    "console:\n  admin_users: [old]\n  users_file: console-users.txt\n",
    'config.yaml:3:15: console.users_file: console-users.txt:3: user "old" has an md5 password, and the console asks for SCRAM-SHA-256, which md5 cannot prove. Give the plain password, or SCRAM-SHA-256$…',
  ],
  [
    "a console user with an empty password",
    "console:\n  stats_users: [mute]\n  users_file: console-users.txt\n",
    'config.yaml:3:15: console.users_file: console-users.txt:4: user "mute" has an empty password, with which nobody is let in',
  ],
  [
    "a users file of the console that cannot be read as one",
    "console:\n  admin_users: [ops]\n  users_file: text\n",
    'config.yaml:3:15: console.users_file: text:1: expected "user" "secret", both in double quotes',
  ],
])("%s", (_, text, expected) => {
  const message = refused(text);
  expect(message.startsWith(expected)).toBe(true);
  expect(message.split("\n")).toHaveLength(1);
});

test("operators who can prove who they are are taken", () => {
  const config = requireConfig(
    written("console:\n  admin_users: [ops]\n  users_file: console-users.txt\n"),
  );
  expect(config.console.users_file).toBe(file("console-users.txt"));
});

test("certificate and key exchanged: both are told so", () => {
  expect(refused(tls("tls/key.pem", "tls/cert.pem"))).toBe(
    "config.yaml:2:16: listen.tls.cert: tls/key.pem holds a private key. Exchange cert and key.\n" +
      "config.yaml:2:34: listen.tls.key: tls/cert.pem holds a certificate. Exchange cert and key.",
  );
});

test("serve says it and ends with 2", async () => {
  const config = written(tls("nowhere.pem", "tls/key.pem"));
  const result = await runCommand("serve", "--map", "deploy/compose/map.yaml", "--config", config);
  expect(result).toEqual({
    code: 2,
    stdout: "",
    stderr: `colonnade: ${config}:2:16: listen.tls.cert: cannot read ${file("nowhere.pem")}: there is no such file. A relative path starts at the configuration's own directory.\n`,
  });
});
