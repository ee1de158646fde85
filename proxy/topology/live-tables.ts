/** Compares each table of the map, in every place where it stands, with its canonical table. Pure. */
import type { DatabaseName } from "../../base/ids.ts";
import type { Catalog, CatalogColumn, CatalogRelation } from "../../shardmap/catalog.ts";
import type { KeyType } from "../../shardmap/shard-key.ts";
import type { MapTable, ShardMap } from "../../shardmap/shard-map.ts";
import { GUARD_CONSTRAINT, isCanonicalTableEmpty } from "../../shardmap/guard.ts";
import { addGuard, dropGuard, emptyTableGuard, guardAt } from "./guards.ts";
import type { Guard } from "./guards.ts";
import type { LiveFinding } from "./live-check.ts";
import { placesOf } from "./table-places.ts";
import type { TablePlace } from "./table-places.ts";
import type { CheckFacts, DatabaseFacts } from "./live-facts.ts";
import { rightsProblems } from "./live-rights.ts";

export function checkTables(
  map: ShardMap,
  facts: ReadonlyMap<DatabaseName, DatabaseFacts>,
  catalog: DatabaseFacts,
): readonly LiveFinding[] {
  const findings: LiveFinding[] = [];
  for (const table of map.tables.values()) {
    const canonicalPlace = { database: map.catalog, schema: map.canonicalSchema, table };
    const canonical = catalog.catalog.relations.get(map.canonicalSchema)?.get(table.name);
    if (canonical === undefined) {
      findings.push(missingCanonical(canonicalPlace, standing(map, table, facts)));
      continue;
    }
    findings.push(...checkCanonical(canonicalPlace, canonical, catalog));
    if (isCanonicalTableEmpty(map, table))
      findings.push(
        ...checkGuard(
          canonicalPlace,
          emptyTableGuard(map, table),
          catalog.checks.get(canonical.oid),
        ),
      );
    for (const place of placesOf(map, table)) {
      const own = facts.get(place.database);
      if (own === undefined) continue; // reported as unreachable
      const relation = own.catalog.relations.get(place.schema)?.get(table.name);
      if (relation === undefined) findings.push(missing(place));
      else findings.push(...checkPlace(place, relation, own, canonical, catalog));
    }
  }
  return findings;
}

/** The names format_type gives to the types of shard keys, by pg_type.typname. */
const KEY_TYPE_NAMES: Readonly<Record<KeyType, string>> = {
  smallint: "int2",
  integer: "int4",
  bigint: "int8",
  uuid: "uuid",
  text: "text",
  varchar: "varchar",
  date: "date",
  timestamptz: "timestamptz",
};

/** What the map says of a table's shard key, against the canonical table. */
function checkCanonical(
  place: TablePlace,
  canonical: CatalogRelation,
  facts: DatabaseFacts,
): readonly LiveFinding[] {
  const { table } = place;
  if (table.kind !== "sharded") return [];
  const findings: LiveFinding[] = [];
  for (const [index, name] of table.keyColumns.entries()) {
    const column = canonical.columns.find((each) => each.name === name);
    const keyType = table.colocation.keyTypes[index];
    if (column === undefined || keyType === undefined) {
      findings.push(
        finding(
          place,
          "error",
          "shard key column does not exist",
          "Correct the column's name in the shard map.",
          name,
        ),
      );
      continue;
    }
    findings.push(...checkKeyColumn(place, column, keyType, facts));
  }
  for (const { name, columns } of canonical.uniqueKeys) {
    if (columns !== undefined && table.keyColumns.every((key) => columns.includes(key))) continue;
    findings.push(
      finding(
        place,
        "warning",
        `unique index "${name}" does not include the shard key, so each placement alone keeps it unique`,
        "Add the shard key to the index, or make sure that its values cannot repeat.",
      ),
    );
  }
  return findings;
}

function checkKeyColumn(
  place: TablePlace,
  column: CatalogColumn,
  keyType: KeyType,
  { catalog }: DatabaseFacts,
): readonly LiveFinding[] {
  const findings: LiveFinding[] = [];
  const type = catalog.types.get(column.typeOid);
  if (type?.schema !== "pg_catalog" || type.name !== KEY_TYPE_NAMES[keyType]) {
    findings.push(
      finding(
        place,
        "error",
        `shard key column has type ${typeName(column.typeOid, catalog)}, the shard map says ${keyType}`,
        "Correct the shard map's shard_key, or the column's type: the two hash differently.",
        column.name,
      ),
    );
  }
  if (catalog.collations.get(column.collationOid)?.isDeterministic === false) {
    findings.push(
      finding(
        place,
        "error",
        "shard key column has a nondeterministic collation, under which equal values hash differently",
        "Give the column a deterministic collation.",
        column.name,
      ),
    );
  }
  if (!column.notNull) {
    findings.push(
      finding(
        place,
        "warning",
        "shard key column may be NULL, and a row with a NULL key has no placement",
        "Add NOT NULL to the column.",
        column.name,
      ),
    );
  }
  return findings;
}

const TABLE_KINDS: ReadonlySet<CatalogRelation["kind"]> = new Set(["table", "partitioned table"]);

function checkPlace(
  place: TablePlace,
  relation: CatalogRelation,
  own: DatabaseFacts,
  canonical: CatalogRelation,
  catalog: DatabaseFacts,
): readonly LiveFinding[] {
  const findings: LiveFinding[] = [];
  if (!TABLE_KINDS.has(relation.kind)) {
    findings.push(
      finding(place, "error", `is a ${relation.kind}, not a table`, "Create a table of this name."),
    );
  }
  if (relation !== canonical) {
    findings.push(...compareColumns(place, relation, own, canonical, catalog));
    findings.push(...compareKeys(place, relation, canonical));
  }
  const [mine, expected] = [own.rights.get(relation.oid), catalog.rights.get(canonical.oid)];
  if (mine !== undefined && expected !== undefined)
    for (const { message, remedy } of rightsProblems(place.table.kind, mine, expected))
      findings.push(finding(place, "error", message, remedy));
  const checks = own.checks.get(relation.oid);
  if (place.table.kind === "sharded")
    findings.push(...checkGuard(place, guardAt(place, place.table), checks));
  else if (checks?.has(GUARD_CONSTRAINT) === true) findings.push(strayGuard(place));
  for (const column of relation.columns) {
    if (!own.outdatedCollations.has(column.collationOid)) continue;
    findings.push(
      finding(
        place,
        "warning",
        "collation was made with another version of the server's library",
        "Rebuild indexes on the column, then ALTER COLLATION ... REFRESH VERSION.",
        column.name,
      ),
    );
  }
  return findings;
}

/** Whether there is one. What it says, guard verify compares; that rows keep it, a validated one proves. */
function checkGuard(
  place: TablePlace,
  guard: Guard,
  checks: ReadonlyMap<string, CheckFacts> | undefined,
): readonly LiveFinding[] {
  const found = checks?.get(GUARD_CONSTRAINT);
  if (found === undefined)
    return [
      finding(
        place,
        "warning",
        "has no guard, so the database itself does not refuse rows of another placement",
        `Run colonnade guard install, or in this database: ${addGuard(guard)};`,
      ),
    ];
  if (!found.isBinding)
    return [
      finding(
        place,
        "warning",
        "has a guard that is NO INHERIT or NOT ENFORCED, so the database itself does not refuse all rows of another placement",
        "Run colonnade guard install, which makes it anew.",
      ),
    ];
  if (found.isValidated) return [];
  return [
    finding(
      place,
      "warning",
      "has a guard that is NOT VALID: it refuses new rows of another placement, and was never checked against those that are there",
      "Run colonnade guard install, which looks at the rows; colonnade guard verify tells of all guards.",
    ),
  ];
}

function strayGuard(place: TablePlace): LiveFinding {
  const { schema, table } = place;
  return finding(
    place,
    "error",
    "has a guard, which refuses rows that belong here: the shard map asks for none",
    `Run colonnade guard install, or in this database: ${dropGuard({ schema, table: table.name })};`,
  );
}

/** In order, since SELECT * and an INSERT without a column list go by it. */
function compareColumns(
  place: TablePlace,
  relation: CatalogRelation,
  own: DatabaseFacts,
  canonical: CatalogRelation,
  catalog: DatabaseFacts,
): readonly LiveFinding[] {
  const names = relation.columns.map(({ name }) => name);
  const expected = canonical.columns.map(({ name }) => name);
  if (names.join("\0") !== expected.join("\0")) {
    return [
      finding(
        place,
        "error",
        `columns are (${names.join(", ")}), those of the canonical table (${expected.join(", ")})`,
        "Make the columns the same, in the same order: DDL through the proxy keeps them so.",
      ),
    ];
  }
  return relation.columns.flatMap((column, index) => {
    const model = canonical.columns[index];
    return model === undefined ? [] : compareColumn(place, column, own, model, catalog);
  });
}

function compareColumn(
  place: TablePlace,
  column: CatalogColumn,
  own: DatabaseFacts,
  model: CatalogColumn,
  catalog: DatabaseFacts,
): readonly LiveFinding[] {
  const findings: LiveFinding[] = [];
  const differ = (
    severity: LiveFinding["severity"],
    what: string,
    mine: string,
    canonical: string,
  ): void => {
    if (mine === canonical) return;
    const message = `${what} is ${mine}, that of the canonical table ${canonical}`;
    findings.push(finding(place, severity, message, "Alter the column to match.", column.name));
  };
  differ(
    "error",
    "type",
    `${typeName(column.typeOid, own.catalog)}${modifier(column)}`,
    `${typeName(model.typeOid, catalog.catalog)}${modifier(model)}`,
  );
  differ("error", "enum", labels(column, own.catalog), labels(model, catalog.catalog));
  differ("error", "collation", collation(column, own.catalog), collation(model, catalog.catalog));
  differ("warning", "NOT NULL", String(column.notNull), String(model.notNull));
  differ("warning", "default", fillName(column), fillName(model));
  return findings;
}

function modifier({ typmod }: CatalogColumn): string {
  return typmod === -1 ? "" : ` with modifier ${typmod}`;
}

function typeName(oid: number, catalog: Catalog): string {
  const type = catalog.types.get(oid);
  if (type === undefined) return `with OID ${oid}`;
  if (type.elementOid !== 0) return `${typeName(type.elementOid, catalog)}[]`;
  return type.schema === "pg_catalog" ? type.name : `${type.schema}.${type.name}`;
}

/** Order matters: it is how values of an enum compare. */
function labels(column: CatalogColumn, catalog: Catalog): string {
  const type = catalog.types.get(column.typeOid);
  const element = type?.elementOid === 0 ? type : catalog.types.get(type?.elementOid ?? 0);
  return `(${element?.labels.join(", ") ?? ""})`;
}

function collation(column: CatalogColumn, catalog: Catalog): string {
  if (column.collationOid === 0) return "none";
  const found = catalog.collations.get(column.collationOid);
  if (found === undefined) return "default";
  const name = found.schema === "pg_catalog" ? found.name : `${found.schema}.${found.name}`;
  return found.isDeterministic ? name : `${name} (nondeterministic)`;
}

/** Sequences are the proxy's to draw from, so a placement's own may have any name, or be missing. */
function fillName({ fill }: CatalogColumn): string {
  switch (fill.kind) {
    case "constant":
      return `'${fill.text}'`;
    case "expression":
      return fill.sql;
    default:
      return fill.kind;
  }
}

function compareKeys(
  place: TablePlace,
  relation: CatalogRelation,
  canonical: CatalogRelation,
): readonly LiveFinding[] {
  const findings: LiveFinding[] = [];
  const [mine, expected] = [relation, canonical].map(({ primaryKey }) => primaryKey.join(", "));
  if (mine !== expected) {
    findings.push(
      finding(
        place,
        "error",
        `primary key is (${mine}), that of the canonical table (${expected})`,
        "Make the primary keys the same.",
      ),
    );
  }
  const uniques = new Set(relation.uniqueKeys.map(({ columns }) => columns?.toSorted().join(", ")));
  for (const { name, columns } of canonical.uniqueKeys) {
    if (columns === undefined || uniques.has(columns.toSorted().join(", "))) continue;
    findings.push(
      finding(
        place,
        "error",
        `has no unique index on (${columns.join(", ")}), as "${name}" is for the canonical table`,
        "Create the index: ON CONFLICT needs it, and duplicates enter without it.",
      ),
    );
  }
  return findings;
}

function missing(place: TablePlace): LiveFinding {
  return finding(place, "error", "table does not exist", CREATE);
}

const CREATE = "Create it, or correct the shard map.";

/** `others`: where the table stands all the same, as \`users0.public\`. */
function missingCanonical(place: TablePlace, others: readonly string[]): LiveFinding {
  if (others.length === 0) return finding(place, "error", "canonical table does not exist", CREATE);
  return finding(
    place,
    "error",
    `canonical table does not exist, though the table stands in ${others.join(", ")}`,
    "Somebody dropped it past the proxy. In this database itself, create it with the columns, constraints and defaults that it has there; or drop it there, too.",
  );
}

function standing(
  map: ShardMap,
  table: MapTable,
  facts: ReadonlyMap<DatabaseName, DatabaseFacts>,
): readonly string[] {
  return placesOf(map, table)
    .filter(({ database, schema }) =>
      facts.get(database)?.catalog.relations.get(schema)?.has(table.name),
    )
    .map(({ database, schema }) => `${database}.${schema}`);
}

function finding(
  { database, schema, table }: TablePlace,
  severity: LiveFinding["severity"],
  message: string,
  remedy: string,
  column?: string,
): LiveFinding {
  const object = `${schema}.${table.name}${column === undefined ? "" : `.${column}`}`;
  return { severity, database, object, message, remedy };
}
