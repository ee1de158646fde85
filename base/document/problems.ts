/** What is wrong with a file that a person wrote: where, what, and what would be right. Shared by every reader of a part of it. */

import { DOCUMENT_PROBLEMS_MAX } from "../limits.ts";

export interface DocumentProblem {
  readonly file: string;
  /** One-based, of the field's name or value in the file. */
  readonly line: number;
  readonly column: number;
  /** `colocations.users.placements[1].shards`; empty for the file itself. */
  readonly field: string;
  /** Worded as PostgreSQL words errors: lower case start, no full stop. */
  readonly message: string;
  /** What to do about it: a sentence. */
  readonly remedy: string;
}

export type FieldPath = readonly (string | number)[];

export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Finds a field in the file; the nearest field around it where it is not there. */
export type Locate = (path: FieldPath, part: "name" | "value") => Position;

/** Problems are gathered, never thrown: a file's author sees all of them at once. */
export class ProblemList {
  readonly #file: string;
  readonly #locate: Locate;
  readonly #problems: DocumentProblem[] = [];
  #unreported = 0;

  constructor(file: string, locate: Locate) {
    this.#file = file;
    this.#locate = locate;
  }

  get isEmpty(): boolean {
    return this.#problems.length === 0;
  }

  /** `part`: whether the field's name or its value is wrong. */
  report(path: FieldPath, message: string, remedy: string, part: "name" | "value" = "value"): void {
    this.reportAt(this.#locate(path, part), path, message, remedy);
  }

  reportAt(position: Position, path: FieldPath, message: string, remedy: string): void {
    if (this.#problems.length >= DOCUMENT_PROBLEMS_MAX) {
      this.#unreported++;
      return;
    }
    this.#problems.push({ file: this.#file, ...position, field: fieldText(path), message, remedy });
  }

  /** In the order of the file. */
  inOrder(): readonly DocumentProblem[] {
    const problems = this.#problems.toSorted(
      (left, right) => left.line - right.line || left.column - right.column,
    );
    const last = problems.at(-1);
    if (this.#unreported > 0 && last !== undefined) {
      const message = `${this.#unreported} more problems are not shown`;
      problems.push({ ...last, field: "", message, remedy: "Solve those above first." });
    }
    return problems;
  }
}

/** `users.yaml:12:5: colocations.users.tables: table "orders" is listed twice. Remove one.` */
export function printProblem(problem: DocumentProblem): string {
  const field = problem.field === "" ? "" : `${problem.field}: `;
  return `${problem.file}:${problem.line}:${problem.column}: ${field}${problem.message}. ${problem.remedy}`;
}

export function fieldText(path: FieldPath): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[\w-]+$/.test(step)) text += `[${JSON.stringify(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** The candidate that was most likely meant, or undefined where none is near: at most a third of it typed otherwise. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let nearestDistance = Infinity;
  for (const candidate of candidates) {
    const limit = Math.max(1, Math.floor(candidate.length / 3));
    if (Math.abs(candidate.length - name.length) > limit) continue;
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance <= limit && distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** "Did you mean ...?" where a candidate is near, else `otherwise`. */
export function didYouMean(name: string, candidates: Iterable<string>, otherwise: string): string {
  const nearest = nearestName(name, candidates);
  return nearest === undefined ? otherwise : `Did you mean ${quoted(nearest)}?`;
}

/** A name as PostgreSQL's messages show it; a long one is cut. */
export function quoted(name: string): string {
  return `"${name.length > 80 ? `${name.slice(0, 80)}...` : name}"`;
}

/** Levenshtein's, one row at a time. */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const current = [row];
    for (let column = 1; column <= right.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (left[row - 1] === right[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[right.length] ?? 0;
}
