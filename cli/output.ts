/** What commands print on standard output: for programs, and for people. */

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

export function printLines(lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

/**
 * A reader that closes early, as `head` does, has what it wanted: what is printed after that goes
 * nowhere, and the command ends as it would have, since its work may be more than what it prints.
 */
export function outliveReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}
