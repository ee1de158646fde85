/** Turns the validator's issues about a file's structure into problems with a place, a reason and a remedy. */
import type { z } from "zod";
import { type FieldPath, nearestName, type ProblemList, quoted } from "./problems.ts";
import type { DocumentKind, ValueProblem } from "./yaml.ts";

type Issue = z.core.$ZodIssue;

/**
 * Reports every issue. Unknown fields are removed from `value` once reported, so that the
 * parts around them can still be read and checked.
 */
export function reportIssues(
  issues: readonly Issue[],
  value: unknown,
  problems: ProblemList,
  kind: DocumentKind,
): void {
  for (const issue of issues.flatMap((each) => leaves(each, []))) {
    const path = issue.path.filter((step) => typeof step !== "symbol");
    if (issue.code === "unrecognized_keys") reportUnknownFields(issue, path, value, problems);
    else reportWrongValue(issue, path, valueAt(value, path), problems, kind);
  }
}

/** Of a union, the issues of the alternative that was evidently meant: the one whose outermost type fits. */
function leaves(issue: Issue, around: readonly PropertyKey[]): readonly Issue[] {
  const path = [...around, ...issue.path];
  if (issue.code === "invalid_union") {
    const fits = (errors: readonly Issue[]): boolean =>
      errors.every((each) => each.path.length > 0 || !/^invalid_(?:type|value)$/.test(each.code));
    const isWord = (errors: readonly Issue[]): boolean =>
      errors.some((each) => each.code === "invalid_value");
    const meant = issue.errors.find(fits) ?? issue.errors.find(isWord);
    if (meant !== undefined) return meant.flatMap((each) => leaves(each, path));
  }
  return [{ ...issue, path }];
}

function reportUnknownFields(
  issue: Extract<Issue, { code: "unrecognized_keys" }>,
  path: FieldPath,
  value: unknown,
  problems: ProblemList,
): void {
  const known = issue.message.split(" ");
  const around = valueAt(value, path);
  for (const key of issue.keys) {
    const nearest = nearestName(key, known);
    const remedy =
      nearest === undefined
        ? `The fields here are ${known.map((field) => `\`${field}\``).join(", ")}.`
        : `Did you mean \`${nearest}\`?`;
    problems.report([...path, key], `unknown field ${quoted(key)}`, remedy, "name");
    if (isObject(around)) delete around[key];
  }
}

function reportWrongValue(
  issue: Issue,
  path: FieldPath,
  found: unknown,
  problems: ProblemList,
  kind: DocumentKind,
): void {
  const field = path.findLast((step) => typeof step === "string") ?? "";
  if (found === undefined && issue.code !== "custom") {
    problems.report(path, `field ${quoted(field)} is missing`, `Add \`${field}:\`.`, "name");
    return;
  }
  const { message, remedy } = kind.explainValue?.(path, found) ?? explain(issue, found, kind);
  problems.report(path, message, remedy);
}

function explain(issue: Issue, found: unknown, kind: DocumentKind): ValueProblem {
  switch (issue.code) {
    case "invalid_type":
      return {
        message: `expected ${kindName(issue.expected)}, found ${describe(found)}`,
        remedy: remedyFor(issue.expected),
      };
    case "invalid_union": {
      const expected = issue.errors.flatMap((errors) =>
        errors.map((each) => (each.code === "invalid_type" ? each.expected : "other")),
      );
      const kinds = [...new Set(expected.map(kindName))];
      return {
        message: `expected ${kinds.join(" or ")}, found ${describe(found)}`,
        remedy: remedyFor(expected[0] ?? ""),
      };
    }
    case "invalid_value":
      return enumProblem(issue.values.map(String), found);
    case "too_small":
      return isNumber(found)
        ? {
            message: `${String(found)} is too small`,
            remedy: `The least is ${String(issue.minimum)}.`,
          }
        : { message: "must not be empty", remedy: "Fill it in, or remove the field." };
    case "too_big":
      return {
        message: isNumber(found) ? `${found} is too large` : "there are too many",
        remedy: `The most is ${String(issue.maximum)}.`,
      };
    case "custom": {
      // A refinement says itself what to do: `params: { remedy }`.
      const remedy: unknown = issue.params?.["remedy"];
      return {
        message: issue.message,
        remedy: typeof remedy === "string" ? remedy : `See ${kind.reference}.`,
      };
    }
    case "invalid_key":
      return { message: "a name must not be empty", remedy: "Give it a name." };
    default:
      return {
        message: `${describe(found)} is not valid here`,
        remedy: `See ${kind.reference} for the fields.`,
      };
  }
}

function enumProblem(values: readonly string[], found: unknown): ValueProblem {
  const message =
    typeof found === "string"
      ? `unknown value ${quoted(found)}`
      : `expected a word, found ${describe(found)}`;
  const nearest = typeof found === "string" ? nearestName(found, values) : undefined;
  return {
    message,
    remedy: nearest === undefined ? `Use one of ${values.join(", ")}.` : `Did you mean ${nearest}?`,
  };
}

function kindName(expected: string): string {
  switch (expected) {
    case "object":
    case "record":
      return "a block of fields";
    case "array":
      return "a list";
    case "string":
      return "text";
    case "int":
      return "a whole number";
    case "number":
      return "a number";
    case "boolean":
      return "true or false";
    default:
      return `one of the words allowed`;
  }
}

function remedyFor(expected: string): string {
  switch (expected) {
    case "object":
    case "record":
      return "Indent its fields below it, or write { field: value }.";
    case "array":
      return "Write [a, b], or one `- item` a line.";
    case "string":
      return 'Put it in quotes if it is meant as text: "...".';
    case "int":
    case "number":
      return "Write digits without quotes.";
    default:
      return "Change its value.";
  }
}

/** What was found, without printing it whole: it may be long, or a URL with a password. */
function describe(found: unknown): string {
  if (found === null) return "nothing";
  if (Array.isArray(found)) return "a list";
  if (typeof found === "object") return "a block of fields";
  if (typeof found === "string") return "text";
  if (typeof found === "boolean") return String(found);
  if (typeof found === "number") return `the number ${found}`;
  return "another kind of value";
}

export function valueAt(value: unknown, path: FieldPath): unknown {
  let found = value;
  for (const step of path) {
    if (!isObject(found) || !Object.hasOwn(found, step)) return undefined;
    found = found[step];
  }
  return found;
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

function isObject(value: unknown): value is Record<string | number, unknown> {
  return typeof value === "object" && value !== null;
}
