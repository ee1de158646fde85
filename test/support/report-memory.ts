/**
 * Loaded into a tested proxy's process beside the product (`node --expose-gc --import`): on
 * SIGUSR2 it collects garbage and prints what memory is really in use. When the process that
 * started it is gone, so that its standard input ends, it goes too.
 */
import { rmSync } from "node:fs";

let reports = 0;

process.stdin.once("close", () => {
  const directory = process.env["COLONNADE_TEST_DIRECTORY"];
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  process.exit(1);
});
process.stdin.resume();
// Only a proxy that serves is worth waiting for.
(process.stdin as NodeJS.ReadStream & { unref?: () => void }).unref?.();

process.on("SIGUSR2", () => {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.stdout.write(`memory ${++reports} ${rss} ${heapUsed} ${external}\n`);
});
