/** Ends a test run with one line of totals, which scripts and people can read alike. */
import type { Reporter, TestModule } from "vitest/node";

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const totals = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === "pending") totals.skipped += 1;
        else totals[state] += 1;
      }
      // A file that cannot be imported has no tests to fail, and is a failure all the same.
      totals.failed += module.errors().length;
    }
    const { passed, failed, skipped } = totals;
    // Vitest writes its own summary when this hook has returned.
    process.once("exit", () => {
      process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
    });
  }
}
