/** A table of a schema file while its statements are read: CREATE TABLE, then ALTER TABLE. */
import type { AlterTableCmd, ColumnDef, Constraint, CreateStmt, Node } from "@pgsql/types";
import type { CatalogColumn, CatalogRelation, ColumnFill } from "../../shardmap/catalog.ts";
import { nameParts } from "../ast.ts";
import { SERIAL_TYPES } from "../built-in-types.ts";
import type { ParsedStatement } from "../parse.ts";
import { expressionText } from "./expression-text.ts";
import type { TypeBook } from "./type-book.ts";

export interface TableDraft {
  readonly schema: string;
  readonly name: string;
  readonly kind: CatalogRelation["kind"];
  readonly isInherited: boolean;
  columns: CatalogColumn[];
  primaryKey: readonly string[];
  readonly uniqueKeys: { readonly name: string; readonly columns: readonly string[] | undefined }[];
  readonly foreignKeys: CatalogRelation["foreignKeys"][number][];
  readonly triggers: CatalogRelation["triggers"][number][];
  /** Of serial and identity columns, in the table's schema. */
  readonly ownSequences: string[];
}

export function tableDraft(
  create: CreateStmt,
  statement: ParsedStatement,
  schema: string,
  types: TypeBook,
): TableDraft {
  const draft: TableDraft = {
    schema,
    name: create.relation?.relname ?? "",
    kind: create.partspec === undefined ? "table" : "partitioned table",
    isInherited: create.inhRelations !== undefined,
    columns: [],
    primaryKey: [],
    uniqueKeys: [],
    foreignKeys: [],
    triggers: [],
    ownSequences: [],
  };
  for (const element of create.tableElts ?? []) {
    if ("ColumnDef" in element) addColumn(draft, element.ColumnDef, statement, types);
    else if ("Constraint" in element) applyConstraint(draft, element.Constraint, schema);
  }
  return draft;
}

function addColumn(
  draft: TableDraft,
  definition: ColumnDef,
  statement: ParsedStatement,
  types: TypeBook,
): void {
  const name = definition.colname ?? "";
  const written = nameParts(definition.typeName?.names).at(-1) ?? "";
  const serial = SERIAL_TYPES.get(written);
  const typeName =
    serial === undefined
      ? definition.typeName
      : { names: [{ String: { sval: "pg_catalog" } }, { String: { sval: serial } }] };
  const use = types.use(typeName ?? {});
  const collation = definition.collClause?.collname;
  draft.columns.push({
    name,
    number: draft.columns.length + 1,
    ...use,
    collationOid:
      collation === undefined ? use.collationOid : types.collation(nameParts(collation)),
    notNull: serial !== undefined,
    fill: serial === undefined ? { kind: "null" } : ownSequence(draft, name),
  });
  for (const node of definition.constraints ?? []) {
    if ("Constraint" in node) applyColumnConstraint(draft, name, node.Constraint, statement);
  }
}

function ownSequence(draft: TableDraft, column: string): Extract<ColumnFill, { kind: "sequence" }> {
  const sequence = `${draft.name}_${column}_seq`;
  draft.ownSequences.push(sequence);
  return { kind: "sequence", schema: draft.schema, sequence };
}

function applyColumnConstraint(
  draft: TableDraft,
  column: string,
  constraint: Constraint,
  statement: ParsedStatement,
): void {
  switch (constraint.contype) {
    case "CONSTR_NOTNULL":
      return changeColumn(draft, column, { notNull: true });
    case "CONSTR_DEFAULT":
      return changeColumn(draft, column, {
        fill: fillOf(constraint.raw_expr, draft.schema, statement),
      });
    case "CONSTR_IDENTITY":
      return changeColumn(draft, column, {
        notNull: true,
        fill: identityFill(draft, column, constraint),
      });
    case "CONSTR_GENERATED":
      return changeColumn(draft, column, { fill: { kind: "generated" } });
    case "CONSTR_FOREIGN":
      return applyConstraint(
        draft,
        { ...constraint, fk_attrs: [{ String: { sval: column } }] },
        draft.schema,
      );
    default:
      return applyConstraint(
        draft,
        { ...constraint, keys: [{ String: { sval: column } }] },
        draft.schema,
      );
  }
}

/** A constraint of the table; `schema` is where an unqualified referenced table is. */
export function applyConstraint(draft: TableDraft, constraint: Constraint, schema: string): void {
  const columns = nameParts(constraint.keys);
  switch (constraint.contype) {
    case "CONSTR_PRIMARY":
      draft.primaryKey = columns;
      draft.uniqueKeys.push({ name: constraint.conname ?? `${draft.name}_pkey`, columns });
      for (const column of columns) changeColumn(draft, column, { notNull: true });
      return;
    case "CONSTR_UNIQUE":
      draft.uniqueKeys.push({
        name: constraint.conname ?? `${draft.name}_${columns.join("_")}_key`,
        columns,
      });
      return;
    case "CONSTR_FOREIGN":
      draft.foreignKeys.push({
        name:
          constraint.conname ?? `${draft.name}_${nameParts(constraint.fk_attrs).join("_")}_fkey`,
        columns: nameParts(constraint.fk_attrs),
        referencedSchema: constraint.pktable?.schemaname ?? schema,
        referencedTable: constraint.pktable?.relname ?? "",
        referencedColumns: nameParts(constraint.pk_attrs),
      });
      return;
    default:
      return;
  }
}

/** What of ALTER TABLE changes a column; other commands are passed over. */
export function applyColumnChange(
  draft: TableDraft,
  command: AlterTableCmd,
  statement: ParsedStatement,
  types: TypeBook,
): void {
  const { subtype, name = "", def } = command;
  switch (subtype) {
    case "AT_AddColumn":
      if (def !== undefined && "ColumnDef" in def)
        addColumn(draft, def.ColumnDef, statement, types);
      return;
    case "AT_DropColumn":
      draft.columns = draft.columns.filter((column) => column.name !== name);
      return;
    case "AT_ColumnDefault":
      return changeColumn(draft, name, { fill: fillOf(def, draft.schema, statement) });
    case "AT_AddIdentity":
      if (def !== undefined && "Constraint" in def) {
        changeColumn(draft, name, {
          notNull: true,
          fill: identityFill(draft, name, def.Constraint),
        });
      }
      return;
    case "AT_SetNotNull":
      return changeColumn(draft, name, { notNull: true });
    case "AT_DropNotNull":
      return changeColumn(draft, name, { notNull: false });
    default:
      return;
  }
}

function changeColumn(draft: TableDraft, name: string, change: Partial<CatalogColumn>): void {
  draft.columns = draft.columns.map((column) =>
    column.name === name ? { ...column, ...change } : column,
  );
}

function identityFill(draft: TableDraft, column: string, constraint: Constraint): ColumnFill {
  const always = constraint.generated_when === "a";
  for (const option of constraint.options ?? []) {
    if (!("DefElem" in option) || option.DefElem.defname !== "sequence_name") continue;
    const { arg } = option.DefElem;
    const names = arg !== undefined && "List" in arg ? nameParts(arg.List.items) : [];
    const sequence = names.at(-1) ?? "";
    if (!draft.ownSequences.includes(sequence)) draft.ownSequences.push(sequence);
    return {
      kind: "identity",
      always,
      schema: names.length > 1 ? (names[0] ?? "") : draft.schema,
      sequence,
    };
  }
  return { ...ownSequence(draft, column), kind: "identity", always };
}

function fillOf(
  expression: Node | undefined,
  schema: string,
  statement: ParsedStatement,
): ColumnFill {
  if (expression === undefined) return { kind: "null" };
  const inner =
    "TypeCast" in expression && expression.TypeCast.arg !== undefined
      ? expression.TypeCast.arg
      : expression;
  if ("A_Const" in inner) return constantFill(inner.A_Const);
  if ("FuncCall" in expression) {
    const name = nameParts(expression.FuncCall.funcname).at(-1);
    if (name === "gen_random_uuid" || name === "uuidv4" || name === "uuid_generate_v4")
      return { kind: "randomUuid" };
    const sequence =
      name === "nextval" ? sequenceArgument(expression.FuncCall.args?.[0]) : undefined;
    if (sequence !== undefined)
      return { kind: "sequence", schema: sequence.schema ?? schema, sequence: sequence.name };
  }
  return { kind: "expression", sql: expressionText(expression, statement) };
}

function constantFill(constant: Extract<Node, { A_Const: unknown }>["A_Const"]): ColumnFill {
  if (constant.isnull === true) return { kind: "null" };
  if (constant.sval !== undefined) return { kind: "constant", text: constant.sval.sval ?? "" };
  if (constant.boolval !== undefined)
    return { kind: "constant", text: String(constant.boolval.boolval ?? false) };
  if (constant.fval !== undefined) return { kind: "constant", text: constant.fval.fval ?? "" };
  return { kind: "constant", text: String(constant.ival?.ival ?? 0) };
}

function sequenceArgument(
  argument: Node | undefined,
): { readonly schema: string | undefined; readonly name: string } | undefined {
  const inner = argument !== undefined && "TypeCast" in argument ? argument.TypeCast.arg : argument;
  if (inner === undefined || !("A_Const" in inner)) return undefined;
  const parts = (inner.A_Const.sval?.sval ?? "")
    .split(".")
    .map((part) => part.replace(/^"(.*)"$/, "$1"));
  const name = parts.at(-1);
  return name === undefined ? undefined : { schema: parts.length > 1 ? parts[0] : undefined, name };
}
