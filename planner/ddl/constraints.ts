/**
 * Which constraints databases can enforce for a table that is spread over them: unique ones
 * that contain the shard key, and foreign keys whose other side is in the same place.
 */
import type { Constraint, RangeVar } from "@pgsql/types";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import type { MapTable } from "../../shardmap/shard-map.ts";
import { nameParts } from "../ast.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";
import { checkStoredExpression } from "../stored-expressions.ts";
import { ownSchema, type NamePlace } from "./steps.ts";
import { existingTable } from "./table-homes.ts";

/** The table a constraint is made for; its own foreign keys may point at itself before it exists. */
export interface ConstrainedTable {
  readonly table: MapTable;
  /** Undefined while it is being created. */
  readonly relation: CatalogRelation | undefined;
  readonly context: PlanContext;
}

/** `column` names the column a column constraint is written at. Gives the tables it names. */
export function checkConstraint(
  constraint: Constraint,
  column: string | undefined,
  owner: ConstrainedTable,
): readonly NamePlace[] {
  const { location } = constraint;
  switch (constraint.contype) {
    case "CONSTR_PRIMARY":
    case "CONSTR_UNIQUE":
      checkUnique(uniqueColumns(constraint, column, owner), owner, location);
      return [];
    case "CONSTR_EXCLUSION":
      checkUnique(equalColumns(constraint), owner, location);
      return [];
    case "CONSTR_FOREIGN":
      return checkForeignKey(constraint, column, owner);
    case "CONSTR_IDENTITY":
      checkIdentity(constraint);
      return [];
    case "CONSTR_CHECK":
    case "CONSTR_DEFAULT":
    case "CONSTR_GENERATED":
      checkStoredExpression(
        constraint.raw_expr,
        storedIn(constraint, column, owner),
        owner.context,
      );
      return [];
    default:
      return [];
  }
}

function storedIn(
  { contype }: Constraint,
  column: string | undefined,
  { table }: ConstrainedTable,
): string {
  if (contype === "CONSTR_CHECK") return `CHECK constraint of table "${table.name}"`;
  const kind = contype === "CONSTR_DEFAULT" ? "default of" : "generated";
  return `${kind} column "${column ?? ""}" of table "${table.name}"`;
}

function uniqueColumns(
  constraint: Constraint,
  column: string | undefined,
  { relation }: ConstrainedTable,
): readonly string[] {
  const index = constraint.indexname;
  // UNIQUE USING INDEX takes the columns of an index that exists.
  if (index !== undefined)
    return relation?.uniqueKeys.find(({ name }) => name === index)?.columns ?? [];
  return column === undefined ? nameParts(constraint.keys) : [column];
}

/** Columns that rows in conflict must have equal: those an exclusion constraint compares with `=`. */
function equalColumns({ exclusions }: Constraint): readonly string[] {
  return (exclusions ?? []).flatMap((exclusion) => {
    const [element, operator] = "List" in exclusion ? (exclusion.List.items ?? []) : [];
    const names =
      operator !== undefined && "List" in operator ? nameParts(operator.List.items) : [];
    const name =
      element !== undefined && "IndexElem" in element ? element.IndexElem.name : undefined;
    return names.at(-1) === "=" && name !== undefined ? [name] : [];
  });
}

export function checkUnique(
  columns: readonly string[],
  { table }: Pick<ConstrainedTable, "table">,
  location: number | undefined,
): void {
  if (table.kind !== "sharded") return;
  const missing = table.keyColumns.find((keyColumn) => !columns.includes(keyColumn));
  if (missing === undefined) return;
  refuse(
    "unique_key_without_shard_key",
    `unique constraint on sharded table "${table.name}" must include shard key column "${missing}"`,
    {
      location,
      detail: "Without it, equal values on two placements would be seen by no database.",
      hint: `Add "${missing}" to the constraint's columns.`,
    },
  );
}

/** A sequence named by the client would have to be in the schema of each placement. */
function checkIdentity({ options, location }: Constraint): void {
  const isNamed = (options ?? []).some(
    (option) => "DefElem" in option && option.DefElem.defname === "sequence_name",
  );
  if (isNamed)
    refuse(
      "ddl_not_supported",
      "SEQUENCE NAME of an identity column is not supported for mapped tables",
      { location, hint: "Leave the name out: PostgreSQL chooses one." },
    );
}

function checkForeignKey(
  constraint: Constraint,
  column: string | undefined,
  owner: ConstrainedTable,
): readonly NamePlace[] {
  const { pktable, location } = constraint;
  if (pktable === undefined) return [];
  const referenced = existingTable(pktable, owner.context);
  const isItself = pktable.relname === owner.table.name && owner.relation === undefined;
  if (referenced.relation === undefined && !isItself) {
    refuse("relation_does_not_exist", `relation "${pktable.relname ?? ""}" does not exist`, {
      location: pktable.location,
    });
  }
  const other = isItself
    ? owner.table
    : referenced.kind === "mapped"
      ? referenced.table
      : undefined;
  if (other === undefined)
    refuseForeignKey(owner.table, pktable, "it is in the catalog database only", location);
  switch (owner.table.kind) {
    case "reference":
      if (other.kind !== "reference")
        refuseForeignKey(
          owner.table,
          pktable,
          "a reference table can only reference reference tables",
          location,
        );
      break;
    case "group":
      if (
        other.kind !== "reference" &&
        !(other.kind === "group" && other.group === owner.table.group)
      ) {
        refuseForeignKey(owner.table, pktable, "it is in no database of the group", location);
      }
      break;
    case "sharded":
      checkShardedForeignKey(constraint, column, owner, other, pktable);
  }
  const canonical = owner.context.map.canonicalSchema;
  return [
    { tree: pktable, schemaAt: other.kind === "reference" ? (): string => canonical : ownSchema },
  ];
}

function checkShardedForeignKey(
  constraint: Constraint,
  column: string | undefined,
  { table, relation, context }: ConstrainedTable,
  other: MapTable,
  pktable: RangeVar,
): void {
  const { location } = constraint;
  if (table.kind !== "sharded" || other.kind === "reference") return;
  if (other.kind !== "sharded" || other.colocation !== table.colocation) {
    refuseForeignKey(table, pktable, "it is not colocated with the table", location);
  }
  const own = column === undefined ? nameParts(constraint.fk_attrs) : [column];
  const written = nameParts(constraint.pk_attrs);
  const otherRelation =
    other.name === table.name
      ? relation
      : context.catalog.relations.get(context.map.canonicalSchema)?.get(other.name);
  const referenced = written.length > 0 ? written : (otherRelation?.primaryKey ?? own);
  const carriesKey = table.keyColumns.every((keyColumn, index) => {
    const position = own.indexOf(keyColumn);
    return position >= 0 && referenced[position] === other.keyColumns[index];
  });
  if (!carriesKey) {
    refuseForeignKey(
      table,
      pktable,
      `it must pair the shard keys: ${table.keyColumns.join(", ")} with ${other.keyColumns.join(", ")}`,
      location,
    );
  }
  const clears = [constraint.fk_del_action, constraint.fk_upd_action].some(
    (action) => action === "n" || action === "d",
  );
  const cleared =
    constraint.fk_del_set_cols === undefined ? own : nameParts(constraint.fk_del_set_cols);
  if (clears && table.keyColumns.some((keyColumn) => cleared.includes(keyColumn))) {
    refuseForeignKey(
      table,
      pktable,
      "SET NULL and SET DEFAULT would change the shard key",
      location,
    );
  }
}

function refuseForeignKey(
  table: MapTable,
  pktable: RangeVar,
  why: string,
  location: number | undefined,
): never {
  return refuse(
    "foreign_key_not_supported",
    `foreign key of table "${table.name}" cannot reference table "${pktable.relname ?? ""}"`,
    {
      location,
      detail: `${why.charAt(0).toUpperCase()}${why.slice(1)}.`,
    },
  );
}
