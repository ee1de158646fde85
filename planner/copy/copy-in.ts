/**
 * Plans COPY ... FROM STDIN. Into a sharded table each row goes to the placement of its key; into a
 * reference table all rows go to every database; into any other the data goes as it comes to the
 * database that has the table.
 */
import type { CopyStmt, Node } from "@pgsql/types";
import { invariant } from "../../base/invariant.ts";
import type { CatalogColumn, CatalogRelation } from "../../shardmap/catalog.ts";
import { nameParts } from "../ast.ts";
import { checkUniqueKeys } from "../insert/conflict.ts";
import { generatedFor } from "../insert/columns.ts";
import { checkReferenceDefaults } from "../insert/defaults.ts";
import { checkInsertExpressions, type InsertTarget } from "../insert/expressions.ts";
import { resolveTable, type ResolvedTable } from "../names.ts";
import type { ParsedStatement } from "../parse.ts";
import type { PlanContext } from "../plan-context.ts";
import { placeRefusal, plannedOrRefused, refuse, type RefusalDraft } from "../refusal.ts";
import { templateFor } from "../statement-text.ts";
import { synthesize } from "../synthesize.ts";
import {
  copyOptions,
  refuseGenerated,
  type ColumnChoice,
  type CopyOptions,
} from "./copy-options.ts";
import type {
  CopiedColumn,
  CopyInPlan,
  CopyKey,
  DefaultKey,
  DefaultMarker,
  MarkedColumn,
} from "./copy-plan.ts";

export function planCopyIn(
  statement: ParsedStatement,
  copy: CopyStmt,
  context: PlanContext,
): CopyInPlan {
  invariant(copy.relation !== undefined, "COPY FROM has a table");
  const table = resolveTable(copy.relation, context);
  const { catalog } = context.map;
  switch (table.kind) {
    case "sharded":
      return new RowsCopy(statement, copy, table, context).intoPlacements();
    case "reference":
      return new RowsCopy(statement, copy, table, context).intoEveryDatabase();
    case "group":
      return relayed(
        statement,
        table,
        { kind: "home", database: table.table.group.database },
        context,
      );
    default:
      return relayed(statement, table, { kind: "home", database: catalog }, context);
  }
}

function relayed(
  statement: ParsedStatement,
  { kind, name }: ResolvedTable,
  target: CopyInPlan["target"],
  context: PlanContext,
): CopyInPlan {
  const ofKnown = target.kind === "home" ? "copyAtHome" : "copyToEveryDatabase";
  return {
    kind: "copyIn",
    access: "write",
    rule: kind === "unknown" ? "undefinedTable" : ofKnown,
    target,
    table: name,
    template: templateFor(statement, context),
    rows: undefined,
    refusal: undefined,
  };
}

/** A COPY whose rows the proxy takes apart. */
class RowsCopy {
  readonly #statement: ParsedStatement;
  readonly #copy: CopyStmt;
  readonly #table: Extract<ResolvedTable, { kind: "sharded" | "reference" }>;
  readonly #context: PlanContext;
  readonly #given: readonly CatalogColumn[];
  readonly #omitted: readonly CatalogColumn[];

  constructor(
    statement: ParsedStatement,
    copy: CopyStmt,
    table: Extract<ResolvedTable, { kind: "sharded" | "reference" }>,
    context: PlanContext,
  ) {
    this.#statement = statement;
    this.#copy = copy;
    this.#table = table;
    this.#context = context;
    const { relation } = table;
    this.#given = givenColumns(copy, relation);
    this.#omitted = relation.columns.filter((column) => !this.#given.includes(column));
    this.#checkCondition(table.kind);
  }

  #checkCondition(target: InsertTarget): void {
    const { whereClause } = this.#copy;
    if (whereClause === undefined) return;
    checkInsertExpressions(whereClause, target, this.#table.name, this.#context);
  }

  intoEveryDatabase(): CopyInPlan {
    const { name } = this.#table;
    const columns = this.#filled([], "reference", isDefaulting(this.#copy));
    const filled = new Set(columns.all.map(({ column }) => column));
    checkReferenceDefaults(
      name,
      this.#defaulted(isDefaulting(this.#copy)).filter((column) => !filled.has(column.name)),
      this.#context,
    );
    const target = { kind: "everyDatabase" } as const;
    if (filled.size === 0) return relayed(this.#statement, this.#table, target, this.#context);
    const read = plannedOrRefused(() => copyOptions(this.#copy));
    if (read.kind === "refused") return this.#refused(read.draft);
    return this.#plan("copyToEveryDatabase", target, read.value, columns);
  }

  intoPlacements(): CopyInPlan {
    const table = this.#table;
    invariant(table.kind === "sharded", "only a sharded table has placements");
    const { keyColumns } = table.table;
    checkUniqueKeys({ relation: table.relation, keyColumns }, this.#copy.relation?.location);
    const read = plannedOrRefused(() => copyOptions(this.#copy));
    if (read.kind === "refused") return this.#refused(read.draft);
    const options = read.value;
    const columns = this.#filled(keyColumns, "sharded", options.defaultText !== undefined);
    const key = keyColumns.map((name, index) => this.#key(name, index, options, columns));
    const target = { kind: "sharded", key, table: table.table } as const;
    return this.#plan("copyByShardKey", target, options, columns);
  }

  /** The statement as it is, for a server that may find more wrong with it: it comes to no row. */
  #refused(draft: RefusalDraft): CopyInPlan {
    const target = { kind: "home", database: this.#context.map.catalog } as const;
    const plan = relayed(this.#statement, this.#table, target, this.#context);
    return { ...plan, refusal: placeRefusal(draft, this.#statement) };
  }

  /** Columns that may take their default. */
  #defaulted(isMarked: boolean): readonly CatalogColumn[] {
    return isMarked ? [...this.#omitted, ...this.#given] : this.#omitted;
  }

  #filled(keys: readonly string[], target: InsertTarget, isMarked: boolean): FilledColumns {
    const copied = (column: CatalogColumn): CopiedColumn | undefined => {
      const generated = generatedFor(column, target, keys.includes(column.name));
      return generated === undefined ? undefined : { ...generated, typeOid: column.typeOid };
    };
    const generated = this.#omitted.flatMap((column) => copied(column) ?? []);
    const marked = this.#given.flatMap((given, index): readonly MarkedColumn[] => {
      const column = isMarked ? copied(given) : undefined;
      return column === undefined ? [] : [{ index, column }];
    });
    return { generated, marked, all: [...generated, ...marked.map(({ column }) => column)] };
  }

  #key(name: string, index: number, options: CopyOptions, columns: FilledColumns): CopyKey {
    const { table, relation } = this.#table as Extract<ResolvedTable, { kind: "sharded" }>;
    const type = table.colocation.keyTypes[index];
    const column = relation.columns.find((candidate) => candidate.name === name);
    invariant(
      type !== undefined && column !== undefined,
      "a shard key's columns are in the catalog",
    );
    const { typeOid, typmod } = column;
    return {
      name,
      typeOid,
      column: { type, typmod },
      source: this.#keySource(column, options, columns),
    };
  }

  #keySource(
    column: CatalogColumn,
    { forceNull, forceNotNull }: CopyOptions,
    columns: FilledColumns,
  ): CopyKey["source"] {
    const field = this.#given.indexOf(column);
    const byDefault = defaultKey(column, columns);
    if (field >= 0) {
      return {
        kind: "field",
        index: field,
        isForcedNull: isChosen(forceNull, column.name),
        isForcedNotNull: isChosen(forceNotNull, column.name),
        byDefault,
      };
    }
    if (byDefault.kind === "generated" || byDefault.kind === "constant") return byDefault;
    return refuse(
      "shard_key_not_constant",
      `COPY into table "${this.#table.name}" gives shard key column "${column.name}" no value`,
      {
        location: this.#copy.relation?.location,
        detail: "The proxy must know the value to find the row's placement.",
        hint: `Add column "${column.name}" to the data and to the column list.`,
      },
    );
  }

  #plan(
    rule: string,
    target: CopyInPlan["target"],
    options: CopyOptions,
    { generated, marked, all }: FilledColumns,
  ): CopyInPlan {
    const columns = this.#given.map(({ name }) => name);
    if (all.length > 0) checkReadAsWritten(this.#copy, options);
    const { format, header, defaultText } = options;
    const marker: DefaultMarker | undefined =
      defaultText === undefined ? undefined : { text: defaultText, filled: marked };
    return {
      kind: "copyIn",
      access: "write",
      rule,
      target,
      table: this.#table.name,
      template: templateFor(synthesize(this.#withColumns(columns, generated)), this.#context),
      rows: {
        check: templateFor(this.#statement, this.#context),
        format,
        header,
        columns,
        generated,
        marker,
        isRelayable: generated.length === 0 && marker === undefined && this.#isKeyNotNull(target),
      },
      refusal: undefined,
    };
  }

  /** The server refuses a row without a key, too. */
  #isKeyNotNull(target: CopyInPlan["target"]): boolean {
    if (target.kind !== "sharded") return false;
    const { columns } = this.#table.relation;
    return target.key.every(
      (key) => columns.find(({ name }) => name === key.name)?.notNull === true,
    );
  }

  /** The statement of one batch: the proxy has read the header, and adds its own columns behind the client's. */
  #withColumns(columns: readonly string[], generated: readonly CopiedColumn[]): Node {
    const { options = [], ...copy } = this.#copy;
    const names = [...columns, ...generated.map(({ column }) => column)];
    const kept = options.filter(
      (option) => !("DefElem" in option) || !HANDLED.has(option.DefElem.defname ?? ""),
    );
    return {
      CopyStmt: {
        ...copy,
        attlist: names.map((name) => ({ String: { sval: name } })),
        ...(kept.length === 0 ? {} : { options: kept }),
      },
    };
  }
}

/** The columns that the proxy fills: those that the data has not, and those it may leave to their default. */
interface FilledColumns {
  readonly generated: readonly CopiedColumn[];
  readonly marked: readonly MarkedColumn[];
  /** In the order in which a row's values are drawn. */
  readonly all: readonly CopiedColumn[];
}

function isDefaulting({ options = [] }: CopyStmt): boolean {
  return options.some((option) => "DefElem" in option && option.DefElem.defname === "default");
}

function defaultKey({ name, fill }: CatalogColumn, { all }: FilledColumns): DefaultKey {
  const index = all.findIndex(({ column }) => column === name);
  if (index >= 0) return { kind: "generated", index };
  if (fill.kind === "constant") return { kind: "constant", text: fill.text };
  return { kind: fill.kind === "null" ? "none" : "computed" };
}

/** What a number or a UUID may be written with. */
const GENERATED = /^[-0-9a-f]+$/;

/** Generated values are written as they are: none of them may be another's text, a quote or an escape. */
function checkReadAsWritten(copy: CopyStmt, { format, forceNull, defaultText }: CopyOptions): void {
  if (format.kind === "binary") return;
  const isNullRead = format.kind === "text" || forceNull === "all" || forceNull.length > 0;
  if (isNullRead && GENERATED.test(format.nullText)) refuseOption("null", copy);
  if (format.kind === "text" && GENERATED.test(defaultText ?? "")) refuseOption("default", copy);
  if (format.kind !== "csv") return;
  if (GENERATED.test(format.quote)) refuseOption("quote", copy);
  if (GENERATED.test(format.escape)) refuseOption("escape", copy);
}

function refuseOption(option: string, { relation }: CopyStmt): never {
  return refuse(
    "copy_option_not_supported",
    `COPY option "${option}" could stand for a value that the proxy fills in`,
    { location: relation?.location, hint: "Give the option another value, or list all columns." },
  );
}

/** Read by the proxy, or checked to be what holds anyway. */
const HANDLED: ReadonlySet<string> = new Set(["header", "on_error"]);

/** Without a list, all columns but generated ones (CopyGetAttnums). */
function givenColumns(copy: CopyStmt, relation: CatalogRelation): readonly CatalogColumn[] {
  if (copy.attlist === undefined)
    return relation.columns.filter(({ fill }) => fill.kind !== "generated");
  return nameParts(copy.attlist).map((name, index, names) => {
    const column = relation.columns.find((candidate) => candidate.name === name);
    if (column === undefined) {
      return refuse(
        "copy_column_unknown",
        `column "${name}" of relation "${relation.name}" does not exist`,
      );
    }
    if (names.indexOf(name) !== index)
      refuse("copy_column_repeated", `column "${name}" specified more than once`);
    refuseGenerated(column);
    return column;
  });
}

function isChosen(choice: ColumnChoice, name: string): boolean {
  return choice === "all" || choice.includes(name);
}
