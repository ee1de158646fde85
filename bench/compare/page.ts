/** A run of `compare` as a page that can be kept beside the code: how each aim stands, of what, and where. */
import { aimText, verdictText } from "./judge.ts";
import type { Circumstances, JudgedAim } from "./report.ts";

/** `command`: what printed it, as somebody would type it; `cases`: what it printed of each. */
export function pageText(
  command: string,
  cases: readonly string[],
  { at, commit, isClean, machine, node, pgbench, contenders, ...size }: Circumstances,
  judged: readonly JudgedAim[],
): string {
  const { cores, processor, memoryBytes, kernel } = machine;
  const changes = isClean === false ? ", with changes" : "";
  const programs = Object.values(contenders).filter(
    (version) => !version.startsWith("this commit"),
  );
  const rows = judged.map(
    ({ aim, verdict }) => `| ${aimText(aim)} | ${verdictText(aim, verdict).replace(": ", " | ")} |`,
  );
  return [
    "# How the aims stand",
    "",
    `Printed by \`${command}\` on ${at.slice(0, 10)}, of commit ${(commit ?? "unknown").slice(0, 10)}${changes}. [README.md](README.md) says what each case is, and what the words mean.`,
    "",
    `- ${cores} cores of ${processor ?? "a processor without a name"}, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB, Linux ${kernel}; Node ${node}; ${pgbench}`,
    `- ${[...new Set(programs)].join("; ")}`,
    `- ${size.turns} turns of ${size.seconds} s; ${size.gigabytes} GB of rows; ${size.idleClients} idle clients`,
    "",
    "| aim | verdict | measured: median (quartiles) |",
    "| --- | --- | --- |",
    ...rows,
    "",
    "## What was measured",
    "",
    "```text",
    ...cases.map((text) => text.trimEnd()),
    "```",
    "",
  ].join("\n");
}
