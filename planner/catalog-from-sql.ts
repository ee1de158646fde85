/**
 * A catalog out of a schema file: what planning needs to know of tables, when no server is
 * there to ask. Statements that make no table, type, sequence or function are passed over,
 * so the output of `pg_dump --schema-only` can be given.
 *
 * It takes the file at its word: what PostgreSQL would refuse is not found out here.
 */
import type {
  AlterTableStmt,
  CreateFunctionStmt,
  CreateStmt,
  CreateTrigStmt,
  IndexStmt,
  Node,
  RangeVar,
  ViewStmt,
} from "@pgsql/types";
import { invariant } from "../base/invariant.ts";
import { SqlError } from "../base/sql-error.ts";
import type {
  Catalog,
  CatalogFunction,
  CatalogRelation,
  CatalogView,
} from "../shardmap/catalog.ts";
import { NO_HIDDEN_CALLS } from "../shardmap/catalog.ts";
import { routineBody, type RoutineBody } from "../shardmap/routine-body.ts";
import { nameParts, walkNodes } from "./ast.ts";
import { parseSql, type ParsedStatement } from "./parse.ts";
import {
  applyColumnChange,
  applyConstraint,
  tableDraft,
  type TableDraft,
} from "./schema-file/table-draft.ts";
import { TypeBook } from "./schema-file/type-book.ts";
import { viewQuery } from "./schema-file/view-query.ts";
import { DEFAULT_COLLATION_OID } from "./built-in-types.ts";

export interface SchemaFileOptions {
  /** Where unqualified names are made and found. */
  readonly schema: string;
  /** The default collation sorts by bytes (C, C.UTF-8); false is the careful guess. */
  readonly isByteOrder?: boolean;
}

/** PostgreSQL 18, whose grammar the parser has. */
const SERVER_VERSION = 180000;

/** Throws SqlError where the text is not SQL. */
export function catalogFromSql(sql: string, options: SchemaFileOptions): Catalog {
  const parsed = parseSql(sql);
  if (parsed.kind === "rejected")
    throw new SqlError("schema_file_invalid", parsed.message, { position: parsed.position });
  const builder = new SchemaFile(options);
  for (const statement of parsed.kind === "statements" ? parsed.statements : [])
    builder.add(statement);
  return builder.catalog();
}

class SchemaFile {
  readonly #options: SchemaFileOptions;
  readonly #types: TypeBook;
  readonly #schemas: Set<string>;
  readonly #tables: TableDraft[] = [];
  readonly #others: {
    readonly schema: string;
    readonly name: string;
    readonly kind: CatalogRelation["kind"];
    readonly view?: CatalogView;
  }[] = [];
  readonly #functions = new Map<string, CatalogFunction[]>();
  /** By the function's name with its schema. */
  readonly #bodies = new Map<string, RoutineBody>();

  constructor(options: SchemaFileOptions) {
    this.#options = options;
    this.#types = new TypeBook(options.schema);
    this.#schemas = new Set([options.schema]);
  }

  add(statement: ParsedStatement): void {
    const { node } = statement;
    if ("CreateSchemaStmt" in node) this.#schemas.add(node.CreateSchemaStmt.schemaname ?? "");
    else if ("CreateStmt" in node) this.#addTable(node.CreateStmt, statement);
    else if ("AlterTableStmt" in node) this.#alterTable(node.AlterTableStmt, statement);
    else if ("IndexStmt" in node) this.#addIndex(node.IndexStmt);
    else if ("CreateSeqStmt" in node) this.#addOther(node.CreateSeqStmt.sequence, "sequence");
    else if ("ViewStmt" in node) this.#addView(node.ViewStmt);
    else if ("CreateFunctionStmt" in node) this.#addFunction(node.CreateFunctionStmt);
    else if ("CreateTrigStmt" in node) this.#addTrigger(node.CreateTrigStmt);
    else this.#types.add(node);
  }

  catalog(): Catalog {
    const relations = new Map(
      [...this.#schemas].map((schema) => [schema, new Map<string, CatalogRelation>()]),
    );
    let oid = FIRST_USER_OID;
    const put = (relation: CatalogRelation): void => {
      const schema = relations.get(relation.schema) ?? new Map<string, CatalogRelation>();
      relations.set(relation.schema, schema.set(relation.name, relation));
    };
    for (const other of this.#others) put({ ...EMPTY_RELATION, ...other, oid: oid++ });
    for (const table of this.#tables) put(finished(table, oid++, this.#tables));
    const collations = this.#types.collations(this.#options.isByteOrder ?? false);
    const defaultCollation = collations.get(DEFAULT_COLLATION_OID);
    invariant(defaultCollation !== undefined, "the default collation is always known");
    return {
      epoch: 1,
      serverVersion: SERVER_VERSION,
      relations,
      types: this.#types.types(),
      functions: this.#functions,
      hiddenCalls: NO_HIDDEN_CALLS,
      unconfirmed: new Set(),
      collations,
      redefinedComparison: undefined,
      defaultCollation,
    };
  }

  #addTable(create: CreateStmt, statement: ParsedStatement): void {
    const draft = tableDraft(create, statement, this.#schemaOf(create.relation), this.#types);
    this.#tables.push(draft);
    for (const sequence of draft.ownSequences)
      this.#others.push({ schema: draft.schema, name: sequence, kind: "sequence" });
  }

  #alterTable(alter: AlterTableStmt, statement: ParsedStatement): void {
    const table = this.#find(alter.relation);
    if (table === undefined) return;
    for (const command of alter.cmds ?? []) {
      if (!("AlterTableCmd" in command)) continue;
      const { subtype, def } = command.AlterTableCmd;
      if (subtype === "AT_AddConstraint" && def !== undefined && "Constraint" in def) {
        applyConstraint(table, def.Constraint, this.#options.schema);
      } else applyColumnChange(table, command.AlterTableCmd, statement, this.#types);
    }
  }

  #addIndex(index: IndexStmt): void {
    if (index.unique !== true) return;
    const names = (index.indexParams ?? []).map((param) =>
      "IndexElem" in param ? param.IndexElem.name : undefined,
    );
    const isPlain = index.whereClause === undefined && names.every((name) => name !== undefined);
    this.#find(index.relation)?.uniqueKeys.push({
      name: index.idxname ?? "",
      columns: isPlain ? names : undefined,
    });
  }

  #addOther(relation: RangeVar | undefined, kind: CatalogRelation["kind"]): void {
    const sequence = { schema: this.#schemaOf(relation), name: relation?.relname ?? "", kind };
    const isKnown = this.#others.some(
      ({ schema, name }) => schema === sequence.schema && name === sequence.name,
    );
    if (!isKnown) this.#others.push(sequence);
  }

  #addView(create: ViewStmt): void {
    const query = viewQuery(create, this.#options.schema, (name) => this.#functions.has(name));
    const view = query === undefined ? undefined : { query, isReadable: true };
    const name = create.view?.relname ?? "";
    this.#others.push({
      schema: this.#schemaOf(create.view),
      name,
      kind: "view",
      ...(view && { view }),
    });
  }

  #addFunction(create: CreateFunctionStmt): void {
    const names = nameParts(create.funcname);
    const name = names.at(-1) ?? "";
    const overload: CatalogFunction = {
      schema: names.length > 1 ? (names[0] ?? "") : this.#options.schema,
      name,
      kind: create.is_procedure === true ? "procedure" : "function",
      volatility:
        (optionText(create.options, "volatility") as CatalogFunction["volatility"] | undefined) ??
        "volatile",
      language: optionText(create.options, "language") ?? "sql",
      body: undefined,
    };
    const body = routineBody(overload.language, optionText(create.options, "as") ?? "");
    const isReadable = overload.language === "sql" || overload.language === "plpgsql";
    this.#bodies.set(`${overload.schema}.${name}`, body);
    this.#functions.set(name, [
      ...(this.#functions.get(name) ?? []),
      overload.volatility === "immutable" && isReadable ? { ...overload, body } : overload,
    ]);
  }

  #addTrigger({ relation, trigname, funcname, row, whenClause }: CreateTrigStmt): void {
    const names = nameParts(funcname);
    const functionName = names.length > 1 ? names.join(".") : `${this.#options.schema}.${names[0]}`;
    const conditionCalls = new Set<string>();
    walkNodes(whenClause, ({ kind, body }) => {
      if (kind === "FuncCall")
        conditionCalls.add(nameParts(body["funcname"] as Node[]).at(-1) ?? "");
      return true;
    });
    this.#find(relation)?.triggers.push({
      name: trigname ?? "",
      functionName,
      isForEachRow: row === true,
      body: this.#bodies.get(functionName) ?? routineBody("internal", names.at(-1) ?? ""),
      conditionCalls,
    });
  }

  #schemaOf(relation: RangeVar | undefined): string {
    return relation?.schemaname ?? this.#options.schema;
  }

  #find(relation: RangeVar | undefined): TableDraft | undefined {
    const schema = this.#schemaOf(relation);
    return this.#tables.find(
      (table) => table.schema === schema && table.name === relation?.relname,
    );
  }
}

/** FirstNormalObjectId of PostgreSQL's transam.h. */
const FIRST_USER_OID = 16384;

const EMPTY_RELATION = {
  columns: [],
  primaryKey: [],
  uniqueKeys: [],
  foreignKeys: [],
  hasRules: false,
  hasRowSecurity: false,
  triggers: [],
  isInherited: false,
  view: undefined,
} as const;

/** A foreign key without columns names the other table's primary key, which may come later in the file. */
function finished(table: TableDraft, oid: number, tables: readonly TableDraft[]): CatalogRelation {
  const foreignKeys = table.foreignKeys.map((key) => {
    const referenced = tables.find(
      ({ schema, name }) => schema === key.referencedSchema && name === key.referencedTable,
    );
    return key.referencedColumns.length > 0
      ? key
      : { ...key, referencedColumns: referenced?.primaryKey ?? [] };
  });
  const { ownSequences: _, ...relation } = table;
  return { ...EMPTY_RELATION, ...relation, foreignKeys, oid };
}

function optionText(options: readonly Node[] | undefined, name: string): string | undefined {
  for (const option of options ?? []) {
    if (!("DefElem" in option) || option.DefElem.defname !== name) continue;
    const { arg } = option.DefElem;
    if (arg !== undefined && "String" in arg) return arg.String.sval;
    // The text of a function, which for one in C has the name of its symbol as a second part.
    if (arg !== undefined && "List" in arg) return nameParts(arg.List.items)[0];
  }
  return undefined;
}
