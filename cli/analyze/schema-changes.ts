/**
 * What a schema would have to change before it could exist under an assignment of its
 * tables: what planner/ddl refuses when such a table is created, told of a table that is
 * there. It knows what the catalog knows, so not the columns of partial and expression
 * indexes, exclusion constraints, nor what a foreign key does ON DELETE.
 */
import type { PlanContext } from "../../planner/plan-context.ts";
import type { CatalogRelation } from "../../shardmap/catalog.ts";
import { type KeyDomain, keyTypeOf, uniqueKeysWithout } from "./key-domains.ts";
import { relationOf } from "./links.ts";
import type { Assignment, TableHome } from "./suggested-map.ts";
import type { SchemaChange } from "./suggestion.ts";

/** By colocation; those of reference tables under null. What needs no change is left out. */
export function schemaChanges(
  assignment: Assignment,
  context: PlanContext,
): ReadonlyMap<KeyDomain | null, readonly SchemaChange[]> {
  const placed = [...placedChanges(assignment, context)];
  return new Map(
    [...Map.groupBy(placed, ([domain]) => domain)].map(([domain, changes]) => [
      domain,
      changes.map(([, change]) => change),
    ]),
  );
}

type PlacedChange = readonly [KeyDomain | null, SchemaChange];

function* placedChanges(assignment: Assignment, context: PlanContext): Generator<PlacedChange> {
  for (const [table, home] of assignment) {
    const relation = relationOf(table, context);
    if (home.kind !== "sharded" || relation === undefined) continue;
    for (const change of shardKeyChanges(relation, home.domain)) yield [home.domain, change];
  }
  const homeOf = ({ schema, name }: Named): TableHome | undefined =>
    schema === context.map.canonicalSchema ? assignment.get(name) : undefined;
  // Also tables that no statement names: they stay where they are, with their foreign keys.
  for (const relations of context.catalog.relations.values()) {
    for (const relation of relations.values()) yield* foreignKeyChanges(relation, homeOf);
  }
}

function* shardKeyChanges(relation: CatalogRelation, domain: KeyDomain): Generator<SchemaChange> {
  const { name: table, columns, primaryKey, uniqueKeys } = relation;
  const shardKey = domain.columns.get(table) ?? "";
  const type = keyTypeOf(columns.find(({ name }) => name === shardKey));
  if (type !== undefined && type !== domain.keyType) {
    yield {
      id: "shard_key_definition",
      table,
      name: shardKey,
      message: `column ${shardKey} of ${table} must have type ${domain.keyType}, not ${type}`,
    };
  }
  const primary = uniqueKeys.find((key) => key.columns?.join() === primaryKey.join());
  for (const key of uniqueKeysWithout(relation, shardKey)) {
    const kind = key === primary ? "primary key" : "unique key";
    const of = key.columns?.join(", ") ?? "partial, or of expressions";
    yield {
      id: "unique_key_without_shard_key",
      table,
      name: key.name,
      message: `${kind} ${key.name} (${of}) of ${table} must contain ${shardKey}`,
    };
  }
}

interface Named {
  readonly schema: string;
  readonly name: string;
}

function* foreignKeyChanges(
  relation: CatalogRelation,
  homeOf: (named: Named) => TableHome | undefined,
): Generator<PlacedChange> {
  const home = homeOf(relation);
  for (const key of relation.foreignKeys) {
    const referenced = { schema: key.referencedSchema, name: key.referencedTable };
    const other = homeOf(referenced);
    const why = whyRefused({ relation, home, key, other });
    if (why === undefined) continue;
    const message = `foreign key ${key.name} of ${relation.name} ${why}`;
    yield [
      domainOf(home) ?? (home === undefined ? domainOf(other) : undefined) ?? null,
      { id: "foreign_key_not_supported", table: relation.name, name: key.name, message },
    ];
  }
}

interface PlacedForeignKey {
  readonly relation: CatalogRelation;
  readonly home: TableHome | undefined;
  readonly key: CatalogRelation["foreignKeys"][number];
  readonly other: TableHome | undefined;
}

/** Undefined where the rows of both sides are in one place. */
function whyRefused({ relation, home, key, other }: PlacedForeignKey): string | undefined {
  if (other?.kind === "reference" || (home === undefined && other === undefined)) return undefined;
  const domain = domainOf(home);
  if (domain === undefined || domain !== domainOf(other))
    return `crosses colocations: ${relation.name} ${placeOf(home)}, ${key.referencedTable} ${placeOf(other)}`;
  const shardKey = domain.columns.get(relation.name) ?? "";
  const referencedKey = domain.columns.get(key.referencedTable) ?? "";
  const position = key.columns.indexOf(shardKey);
  if (position !== -1 && key.referencedColumns[position] === referencedKey) return undefined;
  return `must pair the shard keys: ${shardKey} with ${key.referencedTable}.${referencedKey}`;
}

function placeOf(home: TableHome | undefined): string {
  if (home === undefined) return "is not sharded";
  return home.kind === "reference" ? "is a reference table" : `is in ${home.domain.name}`;
}

function domainOf(home: TableHome | undefined): KeyDomain | undefined {
  return home?.kind === "sharded" ? home.domain : undefined;
}
