/** Who may import whom. The diagram in ARCHITECTURE.md is this table, drawn. */
import { expect, test } from "vitest";
import { type ImportStatement, importsOf, type SourceFile, sourceFiles } from "./sources.ts";

/** Areas, or one file of an area. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  shardmap: ["base"],
  planner: ["base", "shardmap"],
  "proxy/protocol": ["base"],
  "proxy/config": ["base"],
  "proxy/backend": ["base", "proxy/protocol"],
  "proxy/execution": ["base", "shardmap", "planner", "proxy/protocol", "proxy/backend"],
  "proxy/notifications": ["base", "proxy/protocol", "proxy/backend"],
  "proxy/topology": ["base", "shardmap", "proxy/backend"],
  control: ["base", "proxy/backend"],
  migration: ["base", "shardmap", "control", "proxy/protocol", "proxy/backend"],
  "proxy/fleet": ["base", "control", "proxy/backend", "proxy/notifications"],
  "proxy/session": [
    "base",
    "shardmap",
    "planner",
    "proxy/protocol",
    "proxy/execution",
    "proxy/notifications",
    // What execution lends it for questions of its own, and whose errors it relays.
    "proxy/backend/backend-connection.ts",
  ],
  "proxy/frontend": ["base", "proxy/protocol", "proxy/session"],
  "proxy/console": [
    "base",
    "shardmap",
    "planner",
    "proxy/protocol",
    "proxy/config",
    "proxy/backend",
    "proxy/execution",
    "proxy/session",
  ],
  "proxy/admin": ["base", "shardmap", "proxy/protocol", "proxy/session"],
};

/** Roots wire the parts together and may import all of them; nothing but a root or a test imports one. */
const ROOTS = new Set([
  "cli",
  "test",
  "bench",
  "proxy/main.ts",
  "proxy/client-policies.ts",
  "proxy/running-proxy.ts",
]);

/** Each library stands behind one file or folder, so that it can be replaced. */
const ONE_IMPORTER: Readonly<Record<string, string>> = {
  "libpg-query/wasm/libpg-query.js": "planner/parse.ts",
  "pgsql-deparser": "planner/synthesize.ts",
  pino: "base/log.ts",
  "prom-client": "base/metrics.ts",
  commander: "cli/main.ts",
};

/** Areas that are functions from data to data; what they may use of Node does no I/O. */
const PURE_AREAS = [
  "base",
  "shardmap",
  "planner",
  "proxy/protocol",
  "proxy/execution/gather",
  "migration/machine",
  "migration/plan",
];
const PURE_NODE_MODULES = new Set(["node:buffer", "node:crypto", "node:net", "node:util"]);
const IMPURE_FOR_A_REASON: Readonly<Record<string, string>> = {
  "planner/parse.ts": "loads the parser's WebAssembly from its package, once",
};

const files = sourceFiles();

function areaOf(path: string): string {
  const [first = "", second = ""] = path.split("/");
  if (ROOTS.has(path)) return path;
  return first === "proxy" ? `proxy/${second}` : first;
}

function isRoot(path: string): boolean {
  return ROOTS.has(path) || ROOTS.has(path.split("/")[0] ?? "");
}

function violation({ from, to }: ImportStatement): string | undefined {
  const [importer, imported] = [areaOf(from), areaOf(to)];
  if (importer === imported || isRoot(from)) return undefined;
  const allowed = MAY_IMPORT[importer] ?? [];
  if (allowed.includes(imported) || allowed.includes(to)) return undefined;
  return `${from} imports ${to}`;
}

test("every file is of an area that the table knows", () => {
  const unknown = files.filter(({ path }) => !isRoot(path) && !(areaOf(path) in MAY_IMPORT));
  expect(unknown.map(({ path }) => path)).toEqual([]);
});

test("imports follow the table", () => {
  const ours = files.flatMap(importsOf).filter(({ isOurs }) => isOurs);
  expect(ours.length).toBeGreaterThan(100);
  expect(ours.map(violation).filter((found) => found !== undefined)).toEqual([]);
});

test("a violation would be found", () => {
  const planted: SourceFile = {
    path: "planner/planted.ts",
    text: 'import {\n  a,\n  b,\n} from "../proxy/backend/pool.ts";\nimport "../base/ids.ts";\n',
  };
  const found = importsOf(planted).map(violation);
  expect(found).toEqual(["planner/planted.ts imports proxy/backend/pool.ts", undefined]);
});

test.each(Object.entries(ONE_IMPORTER))("%s is imported by %s alone", (library, importer) => {
  const product = files.filter(({ path }) => !path.startsWith("test/") && !path.endsWith(".d.ts"));
  const importers = product
    .flatMap(importsOf)
    .filter(({ to, isTypeOnly }) => to === library && !isTypeOnly);
  expect([...new Set(importers.map(({ from }) => from))]).toEqual([importer]);
});

test("pure areas reach no clock, socket, file or environment", () => {
  const found: string[] = [];
  for (const file of files) {
    const area = PURE_AREAS.find((pure) => file.path.startsWith(`${pure}/`));
    if (area === undefined || file.path in IMPURE_FOR_A_REASON || file.path === "base/log.ts")
      continue;
    for (const { to, isTypeOnly } of importsOf(file)) {
      if (!isTypeOnly && to.startsWith("node:") && !PURE_NODE_MODULES.has(to)) {
        found.push(`${file.path} imports ${to}`);
      }
    }
    const code = file.text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const global =
      /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.now|process\.env|setTimeout|setInterval)\b/.exec(
        code,
      );
    if (global !== null) found.push(`${file.path} uses ${global[0]}`);
  }
  expect(found).toEqual([]);
});
