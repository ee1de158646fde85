import { expect, test } from "vitest";
import { printProblem } from "../../base/document/problems.ts";
import { DEFAULT_CONFIG, parseConfig } from "../../proxy/config/config.ts";

function problemsOf(text: string): readonly string[] {
  const result = parseConfig(text, "c.yaml");
  return "config" in result ? [] : result.problems.map(printProblem);
}

test("an empty file, a file of comments and {} are the defaults", () => {
  for (const text of ["", "# nothing\n", "{}", "listen: {}\n"]) {
    expect(parseConfig(text, "c.yaml")).toMatchObject({ config: DEFAULT_CONFIG });
  }
  expect(DEFAULT_CONFIG.listen).toEqual({ host: "127.0.0.1", port: 6432, max_clients: 10_000 });
});

test("each mistake is told with line, column, field, reason and remedy", () => {
  const text = [
    "listen:",
    "  prot: 6432",
    "  max_clients: many",
    "auth:",
    "  method: scram",
    "pool: { size: 0 }",
    "log: [debug]",
    "drain_ms: 1.5",
  ].join("\n");
  expect(problemsOf(text)).toMatchInlineSnapshot(`
    [
      "c.yaml:2:3: listen.prot: unknown field "prot". The fields here are \`host\`, \`port\`, \`tls\`, \`max_clients\`.",
      "c.yaml:3:16: listen.max_clients: expected a number, found text. Write digits without quotes.",
      "c.yaml:5:11: auth.method: unknown value "scram". Use one of trust, password, md5, scram-sha-256.",
      "c.yaml:6:15: pool.size: 0 is too small. The least is 1.",
      "c.yaml:7:6: log: expected a block of fields, found a list. Indent its fields below it, or write { field: value }.",
      "c.yaml:8:11: drain_ms: expected a whole number, found the number 1.5. Write digits without quotes.",
    ]
  `);
});

test.each([
  ["trust off the loopback interface", "listen: { host: 0.0.0.0 }", /trust lets everybody in/],
  ["cleartext without TLS", "auth: { method: password, users_file: u }", /clear text/],
  ["no source of passwords", "auth: { method: md5 }", /has none/],
  ["two sources of passwords", "auth: { method: md5, users_file: u, query: q }", /has two/],
  [
    "a port out of range",
    "listen: { port: 65536 }",
    /c\.yaml:1:17: listen\.port: 65536 is too large. The most is 65535/,
  ],
  [
    "multiplexed reads without the short way",
    "fast_path: { relay: false }\nmultiplexed_reads: { enabled: true }",
    /c\.yaml:2:31: multiplexed_reads\.enabled: multiplexed reads are of the short way/,
  ],
  [
    "multiplexed reads over no connection",
    "multiplexed_reads: { connections: 0 }",
    /multiplexed_reads\.connections: 0 is too small/,
  ],
  [
    "a user whose reads are neither",
    "multiplexed_reads: { users: { reports: sometimes } }",
    /multiplexed_reads\.users\.reports: expected/,
  ],
  [
    "a console user in both lists",
    "console: { admin_users: [ops], stats_users: [ops] }",
    /c\.yaml:1:45: console\.stats_users: user "ops" is in admin_users as well/,
  ],
  [
    "passwords for a console that nobody may use",
    "console: { users_file: u }",
    /there are passwords for the console, and nobody may use it/,
  ],
  [
    "a least beyond the pool",
    "pool:\n  size: 3\n  adaptive: { enabled: true }",
    /c\.yaml:3:13: pool\.adaptive\.min: adaptive\.min is 4, and the pool has 3 connections at most\. Make/,
  ],
  [
    "a share above all",
    "pool: { breaker: { failed_percent: 101 } }",
    /c\.yaml:1:36: pool\.breaker\.failed_percent: 101 is too large. The most is 100/,
  ],
  [
    "a priority there is not",
    "priorities:\n  users: { bob: urgent }",
    /c\.yaml:2:17: priorities\.users\.bob: unknown value "urgent"\. Use one of high, normal, low/,
  ],
  ["a list", "- a", /expected a block of fields, found a list/],
  ["a scalar", "hello", /expected a block of fields, found text/],
])("%s is refused", (_, text, expected) => {
  expect(problemsOf(text).join("\n")).toMatch(expected);
});

test.each([
  ["a duplicate field", "log: {}\nlog: {}", "c.yaml:2:1: the same name stands twice in one place"],
  ["broken indentation", "listen:\n  port: 1\n port: 2", "c.yaml:3"],
  ["two documents", "log: {}\n---\nlog: {}", "c.yaml:"],
  ["an alias bomb", bomb(), "c.yaml:1:1: this is not YAML: excessive alias count"],
])("%s is a problem and not a crash", (_, text, expected) => {
  expect(problemsOf(text)[0]).toContain(expected);
});

function bomb(): string {
  const lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 9; i += 1) {
    lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(", ")}]`);
  }
  return lines.join("\n");
}

test("clients and operators cannot have one port of one address", () => {
  const both = (listen: string, admin: string): readonly string[] =>
    problemsOf(
      `listen: { host: ${listen}, port: 6432 }\nadmin: { host: ${admin}, port: 6432 }\nauth: { method: md5, users_file: u }\n`,
    );
  const expected =
    "admin.port: listen.port and admin.port are both 6432. Give one of them another port.";
  expect(both("127.0.0.1", "127.0.0.1")).toEqual([`c.yaml:2:33: ${expected}`]);
  expect(both("0.0.0.0", "127.0.0.1")).toEqual([`c.yaml:2:33: ${expected}`]);
  expect(both("10.0.0.1", "127.0.0.1")).toEqual([]);
  expect(problemsOf("listen: { port: 9632 }\n")).toEqual([
    "c.yaml:1:1: admin.port: listen.port and admin.port are both 9632. Give one of them another port.",
  ]);
});

test("nobody may use the console unless the configuration says so", () => {
  expect(DEFAULT_CONFIG.console).toEqual({ admin_users: [], stats_users: [] });
});

test("a file that is not YAML is one problem, on the line where it begins", () => {
  const prose =
    "# Title\n\nA first paragraph\nof two lines.\n\n```sh\nnpm: start\n```\n\nMore: of: it.\n";
  const problems = problemsOf(prose);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^c\.yaml:\d+:\d+: this is not YAML: /);
  expect(problemsOf("listen:\n  port: 1\n# a\n\n  host: [a,\nadmin: b: c\n")[0]).toMatch(
    /^c\.yaml:6:1: this is not YAML/,
  );
});
