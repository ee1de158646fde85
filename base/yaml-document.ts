/**
 * A YAML file checked against a schema, with every mistake told by line, column, field,
 * reason and remedy. The shard map and the configuration are both read through it.
 *
 * It takes text and gives data: it opens no file and knows no field.
 */
import { isNode, isPair, LineCounter, parseDocument, type Document } from "yaml";
import { z } from "zod";
import { YAML_ALIASES_MAX } from "./limits.ts";

/** One mistake in a file that a person wrote. Reason and remedy are sentences without a full stop. */
export interface DocumentProblem {
  /** One-based. */
  readonly line: number;
  /** One-based, in UTF-16 units. */
  readonly column: number;
  /** `colocations.users.placements[2].shards`; empty for the file as a whole. */
  readonly field: string;
  readonly reason: string;
  readonly remedy: string;
}

export type DocumentPath = readonly PropertyKey[];

/** A file whose syntax is right; what it says may still be wrong. */
export interface YamlDocument {
  readonly value: unknown;
  /** A problem at a path; where nothing stands there, at the nearest thing around it. */
  problem(
    path: DocumentPath,
    reason: string,
    remedy: string,
    at?: "key" | "value",
  ): DocumentProblem;
}

export type YamlResult<T> =
  | { readonly kind: "valid"; readonly value: T }
  | { readonly kind: "invalid"; readonly problems: readonly DocumentProblem[] };

export function parseYaml(text: string): YamlResult<YamlDocument> {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, strict: true });
  const problems = [...document.errors, ...document.warnings].map(({ message, pos }) => ({
    ...lineAndColumn(lineCounter, pos[0]),
    field: "",
    reason: firstSentence(message),
    remedy: "Write it as YAML 1.2: two blanks of indentation a level, each field once",
  }));
  if (problems.length > 0) return { kind: "invalid", problems };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: YAML_ALIASES_MAX });
  } catch (error) {
    const reason = error instanceof Error ? firstSentence(error.message) : String(error);
    const remedy = "Write repeated parts out instead of using aliases";
    return { kind: "invalid", problems: [{ line: 1, column: 1, field: "", reason, remedy }] };
  }
  return {
    kind: "valid",
    value: {
      value,
      problem: (path, reason, remedy, at = "value") => ({
        ...lineAndColumn(lineCounter, offsetOf(document, path, at)),
        field: fieldName(path),
        reason,
        remedy,
      }),
    },
  };
}

/** Checks the document; the schema's own refinements may carry `params: { remedy }`. */
export function validateYaml<Schema extends z.ZodType>(
  document: YamlDocument,
  schema: Schema,
): YamlResult<z.output<Schema>> {
  // A file of comments alone is the value null; every field is then at its default, or missing.
  const result = schema.safeParse(document.value ?? {}, { reportInput: true });
  if (result.success) return { kind: "valid", value: result.data };
  const problems = result.error.issues.flatMap((issue) => describeIssue(document, schema, issue));
  return { kind: "invalid", problems: problems.toSorted(byPlace) };
}

/** `map.yaml:12:7: groups.billing.database: no such database. Name one of main, users0` */
export function formatProblem(file: string, problem: DocumentProblem): string {
  const { line, column, field, reason, remedy } = problem;
  return `${file}:${line}:${column}: ${field === "" ? "" : `${field}: `}${reason}. ${remedy}.`;
}

export function fieldName(path: DocumentPath): string {
  let name = "";
  for (const step of path) {
    if (typeof step === "number") name += `[${step}]`;
    else name += name === "" ? String(step) : `.${String(step)}`;
  }
  return name;
}

/** The candidate a person most likely meant, if one is near enough to be worth saying. */
export function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.min(name.length, Math.max(2, Math.floor(name.length / 3)) + 1);
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

function byPlace(a: DocumentProblem, b: DocumentProblem): number {
  return a.line - b.line || a.column - b.column;
}

function lineAndColumn(lineCounter: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lineCounter.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function firstSentence(message: string): string {
  return (message.split("\n")[0] ?? "").replace(/[.:]\s*$/, "");
}

function offsetOf(document: Document, path: DocumentPath, at: "key" | "value"): number {
  for (let length = path.length; length > 0; length -= 1) {
    const steps = path.slice(0, length);
    const isWhole = length === path.length;
    // Where the field itself is missing, the key of what should hold it is the place to look at.
    const offset = at === "value" && isWhole ? valueOffset(document, steps) : undefined;
    const found = offset ?? keyOffset(document, steps);
    if (found !== undefined) return found;
  }
  return 0;
}

function valueOffset(document: Document, path: DocumentPath): number | undefined {
  const node: unknown = document.getIn(path, true);
  return isNode(node) ? (node.range?.[0] ?? undefined) : undefined;
}

function keyOffset(document: Document, path: DocumentPath): number | undefined {
  const last = path.at(-1);
  const parent: unknown =
    path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
  if (typeof last === "number") return valueOffset(document, path);
  if (parent === null || typeof parent !== "object" || !("items" in parent)) return undefined;
  for (const item of parent.items as readonly unknown[]) {
    if (isPair(item) && isNode(item.key) && String(item.key) === String(last)) {
      return item.key.range?.[0];
    }
  }
  return undefined;
}

type Issue = z.core.$ZodIssue;

function describeIssue(
  document: YamlDocument,
  schema: z.ZodType,
  issue: Issue,
): readonly DocumentProblem[] {
  const { path } = issue;
  switch (issue.code) {
    case "unrecognized_keys": {
      const known = knownFields(schema, path);
      return issue.keys.map((key) => {
        const meant = nearestName(key, known);
        const fields = known.length > 0 ? `Fields here are ${known.join(", ")}` : "Remove it";
        const remedy = meant === undefined ? fields : `Write ${meant}, if that is meant`;
        return document.problem([...path, key], "unknown field", remedy, "key");
      });
    }
    case "invalid_type":
      if (issue.input === undefined) {
        const field = String(path.at(-1) ?? "");
        return [document.problem(path, "is missing", `Add ${field}: ${anExample(issue.expected)}`)];
      }
      return [
        document.problem(
          path,
          `is ${typeName(issue.input)}, not ${withArticle(issue.expected)}`,
          `Give it ${withArticle(issue.expected)}`,
        ),
      ];
    case "invalid_value": {
      const values = issue.values.map(String);
      const isMissing = issue.input === undefined;
      const reason = isMissing
        ? "is missing"
        : `${JSON.stringify(issue.input)} is not allowed here`;
      return [document.problem(path, reason, `Use ${oneOf(values)}`)];
    }
    case "too_small":
      return [
        document.problem(path, `is less than ${issue.minimum}`, `Give at least ${issue.minimum}`),
      ];
    case "too_big":
      return [
        document.problem(path, `is more than ${issue.maximum}`, `Give at most ${issue.maximum}`),
      ];
    case "custom": {
      const remedy: unknown = issue.params?.["remedy"];
      return [
        document.problem(path, issue.message, typeof remedy === "string" ? remedy : "Change it"),
      ];
    }
    case "invalid_union": {
      // The alternative that went wrong deepest is the one that was meant.
      const deepest = issue.errors.toSorted((a, b) => depthOf(b) - depthOf(a))[0] ?? [];
      return deepest.flatMap((inner) =>
        describeIssue(document, schema, { ...inner, path: [...path, ...inner.path] }),
      );
    }
    default:
      return [document.problem(path, issue.message, "Change it")];
  }
}

function depthOf(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map(({ path }) => path.length));
}

function typeName(input: unknown): string {
  if (input === null) return "empty";
  if (Array.isArray(input)) return "a list";
  return withArticle(typeof input);
}

function withArticle(type: string): string {
  const words: Readonly<Record<string, string>> = {
    object: "a mapping of fields",
    record: "a mapping of names",
    array: "a list",
    string: "a text",
    int: "a whole number",
    number: "a number",
    boolean: "true or false",
  };
  return words[type] ?? `a ${type}`;
}

function anExample(type: string): string {
  return withArticle(type).replace(/^a /, "<") + (withArticle(type).startsWith("a ") ? ">" : "");
}

function oneOf(values: readonly string[]): string {
  if (values.length === 1) return values[0] ?? "";
  return `one of ${values.join(", ")}`;
}

interface JsonSchemaObject {
  readonly properties?: Readonly<Record<string, JsonSchemaObject>>;
  readonly additionalProperties?: JsonSchemaObject | boolean;
  readonly items?: JsonSchemaObject;
}

/** The schema is asked through its JSON form, which is public, instead of through its inner classes. */
function knownFields(schema: z.ZodType, path: DocumentPath): readonly string[] {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  let at: JsonSchemaObject | undefined = json as JsonSchemaObject;
  for (const step of path) {
    if (typeof step === "number") at = at?.items;
    else {
      const named: JsonSchemaObject | undefined = at?.properties?.[String(step)];
      const others: JsonSchemaObject | boolean | undefined = at?.additionalProperties;
      at = named ?? (typeof others === "object" ? others : undefined);
    }
  }
  return Object.keys(at?.properties ?? {});
}

/** Levenshtein's, over the few bytes of a field's name. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const current = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substituted, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
}
