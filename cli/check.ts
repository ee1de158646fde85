/**
 * `colonnade check`: what is wrong with a shard map, without a server; with `--live`
 * also where the databases differ from what the map says of them.
 */
import { type DocumentProblem, printProblem } from "../base/document/problems.ts";
import type { LiveFinding } from "../proxy/topology/live-check.ts";
import type { ShardMap } from "../shardmap/shard-map.ts";
import { CommandFailure } from "./failure.ts";
import { readMap } from "./input-files.ts";
import { findLiveProblems, printFinding } from "./live-databases.ts";
import { printJson, printLines } from "./output.ts";

export interface CheckFlags {
  readonly live?: true;
  readonly json?: true;
}

/** What `--json` prints, whole. */
interface Report {
  readonly file: string;
  /** Every comparison asked for was made, and none found a problem. Rows are not compared. */
  readonly isValid: boolean;
  readonly problems: readonly DocumentProblem[];
  /** Absent without `--live`, and where the file itself has problems. */
  readonly findings?: readonly LiveFinding[];
}

/** Exit code 1 where there is a problem, a warning being none; 2 where a database could not be asked. */
export async function check(path: string, flags: CheckFlags): Promise<void> {
  const file = readMap(path);
  if (file.kind === "invalid") {
    end(flags, { file: path, isValid: false, problems: file.problems }, "");
    return;
  }
  if (flags.live !== true) {
    end(flags, { file: path, isValid: true, problems: [] }, summary(file.map));
    return;
  }
  const findings = await findLiveProblems(file.map);
  const isValid = findings.every(({ severity }) => severity === "warning");
  end(flags, { file: path, isValid, problems: [], findings }, summary(file.map));
}

/** Rows may be many: who looks at them is `guard install`, once. */
const ROWS_UNREAD =
  "definitions and settings of the databases were compared, and no row was read: colonnade guard install proves that each row is in its placement";

/** Its database could not be asked, so that nothing is known of it. */
function isAway({ object }: LiveFinding): boolean {
  return object === "server";
}

function end(flags: CheckFlags, report: Report, ifValid: string): void {
  const { problems, findings = [], isValid, file } = report;
  if (flags.json === true) printJson(report);
  else {
    const lines = [
      ...problems.map(printProblem),
      ...findings.map((each) => `${each.severity}: ${printFinding(each)}`),
    ];
    if (isValid) lines.push(`${file}: ${ifValid}`);
    if (isValid && report.findings !== undefined) lines.push(`${file}: ${ROWS_UNREAD}`);
    printLines(lines);
  }
  if (isValid) return;
  const errors = findings.filter(({ severity }) => severity === "error");
  const away = errors.filter(isAway);
  if (problems.length === 0 && away.length === errors.length) {
    throw new CommandFailure(
      `${file}: ${ifValid}; but nothing is known of ${named(away)}: start the server or correct its URL in the map, then check again`,
    );
  }
  throw new CommandFailure(`${file} has ${count(problems.length + errors.length, "problem")}`, 1);
}

function named(findings: readonly LiveFinding[]): string {
  const names = findings.map(({ database }) => database).join(", ");
  return `database${findings.length === 1 ? "" : "s"} ${names}`;
}

function summary(map: ShardMap): string {
  const placements = [...map.colocations.values()].reduce(
    (sum, colocation) => sum + colocation.placements.length,
    0,
  );
  const parts = [
    count(map.databases.size, "database"),
    count(map.colocations.size, "colocation"),
    count(placements, "placement"),
    count(map.tables.size, "table"),
  ];
  return `version ${map.version} is sound: ${parts.join(", ")}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
