import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../../cli/dev/free-port.ts";
import { runCommand } from "../support/command.ts";

let directory: string;
const file = (name: string): string => join(directory, name);

const MAP = "deploy/compose/map.yaml";
const THROTTLE = ["migrate", "throttle", "a", "--control", "a"];
const WAVES = ["migrate", "waves", "--out", "a", "--control", "a"];

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "colonnade-cli-"));
  writeFileSync(file("bad-map.yaml"), "version: 1\ncatalog: main\ndatabases: {}\ncolour: red\n");
  writeFileSync(file("bad-config.yaml"), "listen:\n  port: 70000\npool: { sise: 3 }\n");
  writeFileSync(file("binary"), Buffer.from([0xff, 0xfe, 0x00]));
  writeFileSync(file("bad.sql"), "SELECT 1;\nSELEC 2;\n");
  writeFileSync(
    file("away.yaml"),
    'version: 1\ncatalog: main\ndatabases: { main: { primary: "postgres://a@127.0.0.1:1/a" } }\n',
  );
  writeFileSync(file("free-ports.yaml"), "listen: { port: 16433 }\nadmin: { port: 19633 }\n");
  writeFileSync(file("mine"), "not a directory");
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Every complaint is one line that says what to do, and nothing is on standard output. */
async function complaint(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCommand(...words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).not.toContain("    at ");
  return stderr;
}

test("a reader that closes early ends no command with a stack", async () => {
  const command = spawn(process.execPath, ["cli/main.ts", "check", MAP], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  command.stdout.destroy();
  let stderr = "";
  command.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = await once(command, "close");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test("--version and --help", async () => {
  expect(await runCommand("--version")).toEqual({ code: 0, stdout: "0.1.0\n", stderr: "" });
  const { code, stdout } = await runCommand("--help");
  expect(code).toBe(0);
  for (const word of ["dev", "serve", "check", "explain", "control", "map", "guard", "Exit codes"])
    expect(stdout).toContain(word);
});

test.each([
  [["dev", "--prot", "1"], "error: unknown option '--prot'\n(Did you mean --port?)"],
  [["deb"], "error: unknown command 'deb'\n(Did you mean dev?)"],
  [["dev", "--port", "70000"], "a port is a number from 1 to 65535"],
  [["dev", "--port", "http"], "a port is a number from 1 to 65535"],
  [["serve"], "name a shard map: --map FILE or --control URL"],
  [["serve", "--workers", "0"], "workers are a number from 1 to 64"],
  [["serve", "--workers", "2"], "name a shard map: --map FILE or --control URL"],
  [["map", "publish", "a"], "error: required option '--control <url>' not specified"],
  [["map", "show", "0", "--control", "a"], "from 1 on"],
  [["migrate", "plan", "--to", "a", "--control", "a", "--carrier", "pigeon"], "no carrier"],
  [
    ["migrate", "waves", "--to", "a", "--out", "a", "--control", "a"],
    "'--size <number>' not specified",
  ],
  [
    ["migrate", "waves", "--to", "a", "--size", "2", "--control", "a"],
    "'--out <directory>' not spec",
  ],
  [[...WAVES, "--to", MAP, "--size", "0"], "colonnade: --size is at least 1\n"],
  [[...WAVES, "--to", MAP, "--size", "some"], "a whole number is expected"],
  [[...WAVES, "--to", "/nowhere/map.yaml", "--size", "2"], "cannot read map /nowhere/map.yaml"],
  [[...THROTTLE, "--rows-per-second", "0"], "a number above 0 is expected"],
  [[...THROTTLE, "--rows-per-second", "some"], "a whole number is expected"],
  [[...THROTTLE, "--active-sessions", "0"], "a number above 0 is expected"],
  [[...THROTTLE, "--replica-lag", "0s"], "a number above 0 is expected"],
  [
    ["migrate", "cutover", "a", "--control", "a", "--at", "2026-02-31T03:00:00Z"],
    "a time is a date with a time and its zone",
  ],
  [["migrate", "verify", "a", "--control", "a", "--exact", "--fast"], "cannot be used with"],
  [["guard", "paint"], "error: unknown command 'paint'"],
  [["check"], "error: missing required argument 'map'"],
  [["check", "a", "b"], "too many arguments"],
])("%j is refused", async (words, expected) => {
  expect(await complaint(...words)).toContain(expected);
});

test("files that cannot be read", async () => {
  const read = async (path: string): Promise<string> => await complaint("serve", "--map", path);
  expect(await read("/nowhere/map.yaml")).toBe(
    "colonnade: cannot read map /nowhere/map.yaml: there is no such file\n",
  );
  expect(await read(directory)).toBe(
    `colonnade: cannot read map ${directory}: it is a directory\n`,
  );
  expect(await read(file("binary"))).toBe(
    `colonnade: cannot read map ${file("binary")}: it is not UTF-8 text\n`,
  );
});

test("a map or a configuration with mistakes: each with its line", async () => {
  const map = await complaint("serve", "--map", file("bad-map.yaml"));
  expect(map).toContain("bad-map.yaml:4:1: colour: unknown field");
  const config = await complaint("serve", "--map", MAP, "--config", file("bad-config.yaml"));
  expect(config).toContain(
    "bad-config.yaml:2:9: listen.port: 70000 is too large. The most is 65535.",
  );
  expect(config).toContain(
    'bad-config.yaml:3:9: pool.sise: unknown field "sise". Did you mean `size`?',
  );
});

test("serve does not start embedded databases", async () => {
  const said = await complaint("serve", "--map", "deploy/dev/map.yaml");
  expect(said).toContain("database main is embedded, which colonnade dev alone can start");
});

test("dev says what to do about a taken port", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  const said = await complaint("dev", "--data", file("data"), "--port", String(port));
  expect(said).toBe(`colonnade: port ${port} is in use: choose another with --port\n`);
  await new Promise((resolve) => server.close(resolve));
});

test("dev reads its SQL before it starts anything", async () => {
  const ports = ["--port", "16432", "--admin-port", "19632"];
  const sql = async (path: string): Promise<string> =>
    await complaint("dev", "--data", file("data"), ...ports, "--sql", path);
  expect(await sql(file("nosuch.sql"))).toBe(
    `colonnade: cannot read SQL ${file("nosuch.sql")}: there is no such file\n`,
  );
  expect(await sql(file("bad.sql"))).toContain(`${file("bad.sql")}:2: syntax error`);
  expect(existsSync(file("data"))).toBe(false);
});

test("URLs that no proxy could use are told of by check, each in its line, without a password", async () => {
  const map = file("urls.yaml");
  writeFileSync(
    map,
    `version: 1
catalog: main
databases:
  main: { primary: "postgres://10.0.0.1/app" }
  one: { primary: "postgres://app:hunter2@10.0.0.2/app?sslmod=require" }
  two: { primary: "postgres://app@10.0.0.3/app", replicas: ["postgres://app@10.0.0.4/app?sslmode=verify-full"] }
`,
  );
  const { code, stdout, stderr } = await runCommand("check", map);
  expect(code).toBe(1);
  expect(stderr).toBe(`colonnade: ${map} has 3 problems\n`);
  expect(stdout.replaceAll(map, "map").split("\n")).toEqual([
    "map:4:20: databases.main.primary: backend URL cannot be read: it names no user. Write postgres://user@host/database.",
    expect.stringMatching(
      /^map:5:19: databases\.one\.primary: .* parameter "sslmod" is not known\. Known parameters are host, /,
    ),
    expect.stringMatching(
      /^map:6:\d+: databases\.two\.replicas\[0\]: .* needs the root cert.* Add sslroot/,
    ),
    "",
  ]);
  expect(stdout).not.toContain("hunter2");
});

test("servers that are away: the map is told from them, and what to do", async () => {
  const map = file("away.yaml");
  const { code, stdout, stderr } = await runCommand("check", map, "--live");
  expect(code).toBe(2);
  expect(stdout).toMatch(/^error: main: server: could not connect to database "main"/);
  expect(stderr).toBe(
    `colonnade: ${map}: version 1 is sound: 1 database, 0 colocations, 0 placements, 0 tables; but nothing is known of database main: start the server or correct its URL in the map, then check again\n`,
  );
  expect((await runCommand("check", map, "--live", "--json")).code).toBe(2);
  const served = await runCommand("serve", "--map", map, "--config", file("free-ports.yaml"));
  expect(served.code).toBe(2);
  expect(served.stderr).toMatch(
    /^colonnade: cannot start: could not connect to database "main": .*127\.0\.0\.1:1.* Check that the server runs and listens on this address\.\n$/,
  );
});

test("an embedded server is nobody's to compare but that of dev", async () => {
  expect(await complaint("check", "deploy/dev/map.yaml", "--live")).toBe(
    'colonnade: database "main" is embedded: where its server listens, colonnade dev alone knows. Give it a URL in the map to compare it.\n',
  );
});

test("a page is not written into a directory that is not there", async () => {
  const sample = ["--map", "deploy/dev/map.yaml", "--schema", "deploy/dev/schema.sql"];
  const words = [...sample, "--file", "deploy/dev/schema.sql", "--html", "/nowhere/report.html"];
  expect(await complaint("analyze", ...words)).toBe(
    "colonnade: cannot write /nowhere/report.html: there is no such directory\n",
  );
});

test("dev leaves directories alone that are not its own", async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  const ports = ["--port", String(port), "--admin-port", String(adminPort), "--reset"];
  expect(await complaint("dev", "--data", directory, ...ports)).toContain(
    "(it holds files that are not ours): name another directory with --data",
  );
  expect(await complaint("dev", "--data", file("mine"), ...ports)).toContain(
    "name another directory",
  );
  expect(await complaint("dev", "--data", "/proc/colonnade", ...ports)).toContain(
    "name another directory",
  );
});
