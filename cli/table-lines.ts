/** Rows as text for a person: columns as wide as their longest value, none of it at the end of a line. */

/** Numbers to the right, words to the left. */
export function tableLines(
  columns: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = columns.map((name, index) =>
    Math.max(name.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => {
        const width = widths[index] ?? 0;
        return /^[-<\d]/.test(rows[0]?.[index] ?? "") ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [columns, ...rows].map((cells) => `  ${line(cells)}`);
}
