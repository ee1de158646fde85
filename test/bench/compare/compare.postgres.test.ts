/** A comparison from end to end, as small as it goes: real servers, real loads, and what is printed and written of them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Slice } from "../../../bench/compare/slice.ts";
import { hasPgbench } from "../../pgbench/pgbench.ts";
import { ROOT } from "../../tidy/sources.ts";

const directory = mkdtempSync(join(tmpdir(), "colonnade-compare-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test.skipIf(!hasPgbench())(
  "loads of pgbench and of our own, through nothing and through the proxy",
  () => {
    const [file, page] = [join(directory, "slices.json"), join(directory, "page.md")];
    const cases = ["select-prepared-1", "pipeline-10", "copy-in"];
    const words = ["--cases", cases.join(","), "--contenders", "direct,colonnade"];
    const size = ["--turns", "1", "--seconds", "1", "--gigabytes", "0.01"];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [
        join(ROOT, "bench", "main.ts"),
        "compare",
        ...words,
        ...size,
        "--json",
        file,
        "--page",
        page,
      ],
      { encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^ {2}copy-in: colonnade by direct, MB\/s >= 0\.7 x: /m);

    const rows = readFileSync(page, "utf8").split("\n");
    expect(rows).toContainEqual(
      expect.stringMatching(
        /^\| copy-in: colonnade by direct, MB\/s >= 0\.7 x \| [a-z ]+ \| .+ \|$/,
      ),
    );

    const { slices, contenders } = JSON.parse(readFileSync(file, "utf8")) as {
      readonly slices: readonly Slice[];
      readonly contenders: Readonly<Record<string, string>>;
    };
    expect(Object.keys(contenders)).toEqual(["direct", "colonnade"]);
    expect(slices.map(({ case: name, contender }) => `${name} ${contender}`)).toEqual(
      cases.flatMap((name) => [`${name} direct`, `${name} colonnade`]),
    );
    const ours = slices.filter(({ contender }) => contender === "colonnade");
    expect(ours.map(({ values }) => Object.keys(values))).toEqual([
      ["perSecond", "cpuMicroseconds"],
      ["perSecond", "cpuMicroseconds", "p50Microseconds", "p99Microseconds"],
      ["megabytesPerSecond", "peakMegabytes"],
    ]);
    const numbers = slices.flatMap(({ values }) => Object.values(values));
    expect(numbers.every((value) => Number.isFinite(value) && value >= 0)).toBe(true);
  },
);
