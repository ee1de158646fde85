/** A tree of labels, drawn with lines as PostgreSQL's users know them from `tree`. */

export interface Tree {
  readonly label: string;
  readonly children: readonly Tree[];
}

/** Lines of a label after its first stand below it, so that the drawing stays whole. */
export function printTree({ label, children }: Tree, indent = ""): string {
  const lines = [label.replaceAll("\n", `\n${indent}`)];
  for (const [index, child] of children.entries()) {
    const isLast = index === children.length - 1;
    const below = `${indent}${isLast ? "    " : "│   "}`;
    lines.push(`${indent}${isLast ? "└── " : "├── "}${printTree(child, below)}`);
  }
  return lines.join("\n");
}
