/**
 * Loaded into a tested proxy's process beside the product (`node --expose-gc --import`): on
 * SIGUSR2 it collects garbage and prints what memory is really in use.
 */
let reports = 0;

process.on("SIGUSR2", () => {
  globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  process.stdout.write(`memory ${++reports} ${rss} ${heapUsed} ${external}\n`);
});
