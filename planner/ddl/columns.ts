/** Checks of column definitions: the shard key has the map's type, and every place computes its own values alike. */
import type { ColumnDef, Constraint, TypeName } from "@pgsql/types";
import { KEY_TYPE_OIDS, type KeyType } from "../../shardmap/shard-key.ts";
import type { MapTable } from "../../shardmap/shard-map.ts";
import { TYPE_NAMES } from "../analyze/column-types.ts";
import { nameParts, walkNodes } from "../ast.ts";
import { SERIAL_TYPES } from "../built-in-types.ts";
import { checkInsertExpressions } from "../insert/expressions.ts";
import type { PlanContext } from "../plan-context.ts";
import { refuse } from "../refusal.ts";

/** Every key column is among the definitions, with a type the shard function can hash. */
export function checkKeyColumns(
  table: MapTable,
  definitions: readonly ColumnDef[],
  context: PlanContext,
): void {
  if (table.kind !== "sharded") return;
  for (const [index, keyColumn] of table.keyColumns.entries()) {
    const definition = definitions.find(({ colname }) => colname === keyColumn);
    const type = table.colocation.keyTypes[index];
    if (definition === undefined || type === undefined) {
      refuse(
        "shard_key_definition",
        `table "${table.name}" needs the shard key column "${keyColumn}"`,
        {
          hint: "The shard map names it: add the column, or change the map.",
        },
      );
    }
    checkKeyColumn(table.name, definition, type, context);
  }
}

function checkKeyColumn(
  table: string,
  definition: ColumnDef,
  type: KeyType,
  context: PlanContext,
): void {
  const { colname = "", typeName, collClause, location } = definition;
  if (typeOidOf(typeName) !== KEY_TYPE_OIDS[type]) {
    refuse(
      "shard_key_definition",
      `shard key column "${colname}" of table "${table}" must have type ${type}`,
      {
        location: typeName?.location ?? location,
        hint: "The shard map names the type: change the column's, or the map.",
      },
    );
  }
  const collation = nameParts(collClause?.collname).at(-1);
  const known = [...context.catalog.collations.values()].find(({ name }) => name === collation);
  if (collation !== undefined && known?.isDeterministic !== true) {
    refuse(
      "shard_key_definition",
      `collation "${collation}" of shard key column "${colname}" is not known to be deterministic`,
      {
        location: collClause?.location ?? location,
        detail: "Strings that it calls equal could have different placements.",
      },
    );
  }
  if (constraintsOf(definition).some(({ contype }) => contype === "CONSTR_GENERATED")) {
    refuse(
      "shard_key_definition",
      `shard key column "${colname}" of table "${table}" cannot be generated`,
      { location },
    );
  }
}

function typeOidOf(type: TypeName | undefined): number | undefined {
  if (type === undefined || type.setof === true || (type.arrayBounds?.length ?? 0) > 0)
    return undefined;
  const names = nameParts(type.names);
  if (names.length > 2 || (names.length === 2 && names[0] !== "pg_catalog")) return undefined;
  const name = names.at(-1) ?? "";
  return TYPE_NAMES.get(SERIAL_TYPES.get(name) ?? name);
}

export function constraintsOf(definition: ColumnDef): readonly Constraint[] {
  return (definition.constraints ?? []).flatMap((node) =>
    "Constraint" in node ? [node.Constraint] : [],
  );
}

/**
 * A column added to rows that exist gets its default in each place by itself: a sequence
 * would give the same numbers on several placements, and a copy other values than the next.
 */
export function checkAddedColumn(
  table: MapTable,
  definition: ColumnDef,
  context: PlanContext,
): void {
  if (table.kind === "group") return;
  const { colname = "", typeName, location } = definition;
  const type = nameParts(typeName?.names).at(-1) ?? "";
  const isSerial =
    SERIAL_TYPES.has(type) ||
    constraintsOf(definition).some(({ contype }) => contype === "CONSTR_IDENTITY");
  if (
    isSerial ||
    constraintsOf(definition).some((constraint) => callsNextval(constraint.raw_expr))
  ) {
    refuse(
      "ddl_not_supported",
      `column "${colname}" with a sequence cannot be added to mapped table "${table.name}"`,
      {
        location,
        detail: "Each database would number its existing rows from its own sequence.",
        hint: "Add the column without a default, fill it, then set the default.",
      },
    );
  }
  for (const { contype, raw_expr } of constraintsOf(definition)) {
    if (contype === "CONSTR_DEFAULT")
      checkInsertExpressions(raw_expr, table.kind, table.name, context);
  }
}

function callsNextval(expression: unknown): boolean {
  let calls = false;
  walkNodes(expression, ({ kind, body }) => {
    if (kind === "FuncCall")
      calls ||= nameParts(body["funcname"] as ColumnDef["constraints"]).at(-1) === "nextval";
    return true;
  });
  return calls;
}
