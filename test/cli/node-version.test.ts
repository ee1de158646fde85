import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { NODE_VERSION_MIN, requireNode } from "../../cli/node-version.ts";
import { ROOT } from "../tidy/sources.ts";

test("package.json asks for the same version", () => {
  const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    readonly engines: { readonly node: string };
  };
  expect(engines.node).toBe(`>=${NODE_VERSION_MIN}`);
});

test.each(["18.20.4", "20.20.2", "22.1.0", "22.11.0"])("Node %s is told what is needed", (old) => {
  expect(() => requireNode(old)).toThrow(`Node 22.12 or later is needed, and this is ${old}`);
});

test.each(["22.12.0", "22.100.1", "23.0.0", "24.21.0", process.versions.node])(
  "Node %s will do",
  (version) => expect(() => requireNode(version)).not.toThrow(),
);
