/** What a program printed of the proxy beside what it printed of PostgreSQL, and what was reviewed of it. */
export interface Compared {
  /** Asked, answered otherwise, and known to be. */
  readonly differing: readonly string[];
  /** One text for each answer that must not differ, or is missing. */
  readonly faults: readonly string[];
}

export function compareAnswers(
  plain: ReadonlyMap<string, string>,
  proxied: ReadonlyMap<string, string>,
  reviewed: Readonly<Record<string, string>>,
): Compared {
  const differing: string[] = [];
  const faults: string[] = [];
  for (const [asked, answered] of plain) {
    const other = proxied.get(asked);
    if (other === answered) continue;
    if (Object.hasOwn(reviewed, asked)) differing.push(asked);
    else
      faults.push(
        `${JSON.stringify(asked)} is answered otherwise:\n${firstDifference(answered, other)}`,
      );
  }
  for (const asked of proxied.keys()) {
    if (!plain.has(asked)) faults.push(`${JSON.stringify(asked)} was asked of the proxy alone`);
  }
  return { differing, faults };
}

function firstDifference(plain: string, other: string | undefined): string {
  if (other === undefined) return "no answer";
  const [left, right] = [plain.split("\n"), other.split("\n")];
  const index = left.findIndex((line, at) => line !== right[at]);
  const at = index === -1 ? left.length : index;
  return `- ${left[at] ?? "(end)"}\n+ ${right[at] ?? "(end)"}`;
}
