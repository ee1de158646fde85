/** The flags of `colonnade hold`: what it takes for a duration, and that its help says the same. */
import { expect, test } from "vitest";
import { HELD_MS_MAX } from "../../base/limits.ts";
import { runCommand } from "../support/command.ts";

// Nobody listens there: a duration that is accepted gets as far as that.
const CONTROL = ["--control", "postgres://dba@127.0.0.1:1/main", "--placements", "users0.public"];

async function holdFor(duration: string): Promise<string> {
  const { code, stderr } = await runCommand("hold", ...CONTROL, "--for", duration);
  expect(code).toBe(2);
  return stderr;
}

test.each(["500", "500ms", "2s", "0.5s", "1", String(HELD_MS_MAX), `${HELD_MS_MAX / 1_000}s`])(
  "a hold lasts for %s",
  async (duration) => {
    expect(await holdFor(duration)).toContain("ECONNREFUSED");
  },
);

test.each(["0", "0ms", "11s", String(HELD_MS_MAX + 1), "9999999"])(
  "none lasts for %s, and the limit is named",
  async (duration) => {
    const refused = await holdFor(duration);
    expect(refused).toContain(`a hold lasts from 1ms to ${HELD_MS_MAX}ms (HELD_MS_MAX)`);
  },
);

test.each(["", "soon", "-5", "5m", "1e3", "500 ms"])("%j is no duration", async (duration) => {
  expect(await holdFor(duration)).toContain("a duration is a number with a unit: 500ms, 2s");
});

test.each(["", " ", "users0.public,"])("%j has a name that is empty", async (placements) => {
  const control = CONTROL.slice(0, 2);
  const refused = await runCommand("hold", ...control, "--placements", placements);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("a name is empty") });
});

test("the help tells the units, the limit and what is taken unless it is given", async () => {
  const { stdout } = await runCommand("hold", "--help");
  const help = stdout.replace(/\s+/g, " ");
  expect(help).toContain("500ms, 2s, or milliseconds; at most 10s");
  expect(help).toContain("(default: 500ms)");
});
