/** What a rehearsal has started does not outlive it, also where it is killed and can end nothing itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../tidy/sources.ts";

const MODULE = pathToFileURL(join(ROOT, "cli", "rehearse", "end-with-us.ts")).href;

/** Starts two processes that share its output, one of which ends by itself, and tells when they run. */
const STARTER = `
import { spawn } from "node:child_process";
import { once } from "node:events";
import { endWithUs } from ${JSON.stringify(MODULE)};
const start = (script) => {
  const child = spawn(process.execPath, ["-e", script], { detached: true, stdio: ["ignore", "inherit", "ignore"] });
  endWithUs(child);
  return child;
};
await once(start(""), "exit");
start("console.log('begun'); setInterval(() => undefined, 1000)");
setInterval(() => undefined, 1000);
`;

test("a process that was started ends with who started it", async () => {
  const starter = spawn(process.execPath, ["--input-type=module", "-e", STARTER], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [told] = (await once(starter.stdout, "data")) as [Buffer];
  expect(told.toString()).toBe("begun\n");
  starter.kill("SIGKILL");
  // The output ends when nobody has it open any more.
  await once(starter.stdout, "end");
});
