/** The fields of a YAML file as rows of a document, from the JSON Schema of its validator. */

/** The parts of JSON Schema that our own files' schemas use. */
export interface FieldSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: FieldSchema | boolean;
  readonly items?: FieldSchema;
  readonly anyOf?: readonly FieldSchema[];
}

/** Field, what it takes, its default, what it does. */
export type FieldRow = readonly [string, string, string, string];

export function fieldRows(schema: FieldSchema): readonly FieldRow[] {
  return [...rowsOf(schema, "")];
}

function* rowsOf(schema: FieldSchema, prefix: string): Iterable<FieldRow> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const path = `${prefix}${name}`;
    const description = field.description ?? "";
    const inner = innerFields(field, path);
    if (field.properties === undefined) {
      const isRequired = schema.required?.includes(name) === true;
      yield [`\`${path}\``, takes(field), defaultOf(field, isRequired), description];
    } else {
      yield [`**\`${path}\`**`, "", "", description];
    }
    if (inner !== undefined) yield* rowsOf(inner.schema, inner.prefix);
  }
}

/** The fields inside a field: its own, those of each entry of a list or mapping, or of one of its forms. */
function innerFields(
  field: FieldSchema,
  path: string,
): { readonly schema: FieldSchema; readonly prefix: string } | undefined {
  if (field.properties !== undefined) return { schema: field, prefix: `${path}.` };
  if (field.items?.properties !== undefined) return { schema: field.items, prefix: `${path}[].` };
  const { additionalProperties: entry } = field;
  if (typeof entry === "object" && entry.properties !== undefined) {
    return { schema: entry, prefix: `${path}.NAME.` };
  }
  const form = field.anyOf?.find(({ properties }) => properties !== undefined);
  return form && { schema: form, prefix: `${path}.` };
}

function takes(field: FieldSchema): string {
  const { enum: values, type, anyOf, items, additionalProperties: entry } = field;
  if (values !== undefined) return values.map((value) => `\`${String(value)}\``).join(", ");
  if (anyOf !== undefined) return forms(anyOf);
  if (Array.isArray(type)) return type.map((one: string) => takes({ type: one })).join(" or ");
  if (type === "boolean") return "`true`, `false`";
  if (type === "integer") return integerRange(field);
  if (type === "array") return items?.properties ? "a list" : `a list of: ${takes(items ?? {})}`;
  if (typeof entry === "object") {
    return entry.properties ? "NAME: fields" : `NAME: ${takes(entry)}`;
  }
  if (type === "object") return "fields";
  return type === "number" ? "a number" : "text";
}

/** A form that is a list of the forms before it is called that. */
function forms(anyOf: readonly FieldSchema[]): string {
  const texts = anyOf.map((form, index) => {
    const before = anyOf.slice(0, index).map(takes).join(" or ");
    const entry = form.type === "array" ? takes(form.items ?? {}) : undefined;
    return entry !== undefined && entry === before ? "a list of these" : takes(form);
  });
  return texts.join(" or ");
}

function integerRange({ minimum, maximum = Infinity }: FieldSchema): string {
  return maximum >= Number.MAX_SAFE_INTEGER ? `${minimum} or more` : `${minimum} to ${maximum}`;
}

function defaultOf(field: FieldSchema, isRequired: boolean): string {
  if (field.default !== undefined)
    return `\`${JSON.stringify(field.default).replaceAll('"', "")}\``;
  return isRequired ? "required" : "none";
}
