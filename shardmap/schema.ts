/**
 * From the text of a shard map file (YAML) to the map in memory, or to everything that is
 * wrong with it. It reads no file and asks no server: what only a server knows (whether
 * tables exist, what types their columns have) is `check --live`.
 */
import { type DatabaseName, databaseName } from "../base/ids.ts";
import { invariant } from "../base/invariant.ts";
import { type ColocationContext, readColocation } from "./map-file/colocation.ts";
import { readDatabases } from "./map-file/databases.ts";
import type { UrlProblem } from "./map-file/databases.ts";
import {
  catalogFile,
  groupFile,
  mapFile,
  sequenceBlockFile,
  unlistedTablesFile,
  versionFile,
} from "./map-file/format.ts";
import { reportIssues } from "../base/document/issues.ts";
import { checkDatabase, checkIdentifier, checkPlainName, TableRegister } from "./map-file/names.ts";
import {
  type FieldPath,
  type DocumentProblem,
  type ProblemList,
  quoted,
} from "../base/document/problems.ts";
import { type DocumentKind, readYaml } from "../base/document/yaml.ts";
import { USUAL_SEQUENCE_BLOCKS } from "./shard-map.ts";
import type { Colocation, Group, MapTable, SequenceBlocks, ShardMap } from "./shard-map.ts";

/** The schema of the canonical tables, unless the map names another. */
const CANONICAL_SCHEMA = "public";

const SHARD_MAP: DocumentKind = {
  name: "a shard map",
  whenEmpty: "Begin with `version: 1`; examples are in deploy/maps.",
  reference: "docs/shard-map.schema.json",
  explainValue: (path, found) =>
    path.at(-1) === "function" && found === "lookup"
      ? {
          message: "the lookup function is not supported yet",
          remedy: "Use hash, range or list.",
        }
      : undefined,
};

type Fields = Readonly<Record<string, unknown>>;

/**
 * `fileName` is only printed. Parts that are sound are checked even where others are not,
 * so that one look shows all problems. `problemOf` judges URLs further than their form.
 */
export function parseShardMap(
  text: string,
  fileName: string,
  problemOf: (url: string) => UrlProblem = () => undefined,
): { readonly map: ShardMap } | { readonly problems: readonly DocumentProblem[] } {
  const { value, problems } = readYaml(text, fileName, SHARD_MAP);
  if (value === undefined) return { problems: problems.inOrder() };

  const structure = mapFile.safeParse(value);
  if (!structure.success) reportIssues(structure.error.issues, value, problems, SHARD_MAP);
  const map = isFields(value) ? readMap(value, text, { problems, problemOf }) : undefined;
  if (!problems.isEmpty) return { problems: problems.inOrder() };
  invariant(map !== undefined, "a map file without problems is a map");
  return { map };
}

function readMap(
  file: Fields,
  text: string,
  {
    problems,
    problemOf,
  }: { readonly problems: ProblemList; readonly problemOf: (url: string) => UrlProblem },
): ShardMap | undefined {
  const databaseFields = fieldsOf(file["databases"]);
  const databaseNames: ReadonlySet<string> = new Set(Object.keys(databaseFields));
  const databases = isFields(file["databases"])
    ? readDatabases(databaseFields, problems, problemOf)
    : undefined;
  const { catalog, canonicalSchema } = readCatalog(file["catalog"], databaseNames, problems);

  const tables = new TableRegister(problems);
  const context: ColocationContext = {
    databases: databaseNames,
    canonicalSchema,
    problems,
    tables,
  };
  const colocations = new Map<string, Colocation>();
  for (const [name, fields] of Object.entries(fieldsOf(file["colocations"]))) {
    const colocation = readColocation(name, fieldsOf(fields), context);
    if (colocation !== undefined) colocations.set(name, colocation);
  }
  const groups = new Map<string, Group>();
  for (const [name, fields] of Object.entries(fieldsOf(file["groups"]))) {
    const group = readGroup(name, fieldsOf(fields), context);
    if (group !== undefined) groups.set(name, group);
  }
  const referenceTables = new Set(
    readTableNames(file["reference_tables"], "`reference_tables`", ["reference_tables"], tables),
  );
  const coalescedTables = readCoalesced(file["coalesce_reads"], tables, problems);
  const sequenceBlocks = readSequenceBlocks(fieldsOf(file["sequences"]), problems);
  const version = versionFile.safeParse(file["version"]);
  if (!version.success || catalog === undefined || databases === undefined) return undefined;
  return {
    version: version.data,
    text,
    catalog,
    canonicalSchema,
    databases,
    colocations,
    groups,
    referenceTables,
    coalescedTables,
    sequenceBlocks,
    unlistedTables: unlistedTablesFile.safeParse(file["unlisted_tables"]).data ?? "catalog",
    tables: tablesOf(colocations, groups, referenceTables),
  };
}

function readCatalog(
  value: unknown,
  databases: ReadonlySet<string>,
  problems: ProblemList,
): { readonly catalog: DatabaseName | undefined; readonly canonicalSchema: string } {
  const parsed = catalogFile.safeParse(value);
  if (!parsed.success) return { catalog: undefined, canonicalSchema: CANONICAL_SCHEMA };
  if (typeof parsed.data === "string") {
    checkDatabase(parsed.data, databases, ["catalog"], problems);
    return { catalog: databaseName(parsed.data), canonicalSchema: CANONICAL_SCHEMA };
  }
  const { database, schema = CANONICAL_SCHEMA } = parsed.data;
  checkDatabase(database, databases, ["catalog", "database"], problems);
  checkIdentifier("schema", schema, ["catalog", "schema"], problems);
  return { catalog: databaseName(database), canonicalSchema: schema };
}

function readGroup(name: string, file: Fields, context: ColocationContext): Group | undefined {
  const path = ["groups", name];
  const { problems, tables: register } = context;
  checkPlainName("group", name, path, problems);
  const tables = readTableNames(
    file["tables"],
    `group ${quoted(name)}`,
    [...path, "tables"],
    register,
  );
  const { database, schema } = groupFile.shape;
  const databaseField = database.safeParse(file["database"]);
  const schemaField = schema.safeParse(file["schema"]);
  if (!databaseField.success || !schemaField.success) return undefined;
  checkDatabase(databaseField.data, context.databases, [...path, "database"], problems);
  if (schemaField.data !== undefined) {
    checkIdentifier("schema", schemaField.data, [...path, "schema"], problems);
  }
  return {
    name,
    database: databaseName(databaseField.data),
    schema: schemaField.data ?? context.canonicalSchema,
    tables,
  };
}

function readSequenceBlocks(file: Fields, problems: ProblemList): SequenceBlocks {
  const sizes = new Map<string, number>();
  for (const [name, value] of Object.entries(fieldsOf(file["block_sizes"]))) {
    checkIdentifier("sequence", name, ["sequences", "block_sizes", name], problems, "name");
    const size = sequenceBlockFile.safeParse(value);
    if (size.success) sizes.set(name, size.data);
  }
  const size = sequenceBlockFile.safeParse(file["block_size"]).data;
  return { size: size ?? USUAL_SEQUENCE_BLOCKS.size, sizes };
}

/** A list of tables; what is no name in it is reported with the structure. */
function readTableNames(
  value: unknown,
  where: string,
  path: FieldPath,
  register: TableRegister,
): readonly string[] {
  const names: string[] = [];
  for (const [index, name] of (Array.isArray(value) ? value : []).entries()) {
    if (typeof name !== "string") continue;
    register.add(name, where, [...path, index], "value");
    names.push(name);
  }
  return names;
}

/** Tables that have their place elsewhere in the map. */
function readCoalesced(
  value: unknown,
  register: TableRegister,
  problems: ProblemList,
): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [index, name] of (Array.isArray(value) ? value : []).entries()) {
    if (typeof name !== "string") continue;
    const path = ["coalesce_reads", index];
    if (names.has(name))
      problems.report(path, `table ${quoted(name)} is listed twice`, "Remove one of the two.");
    else if (!register.has(name))
      problems.report(
        path,
        `table ${quoted(name)} is not in the map`,
        "List it in a colocation, a group or `reference_tables`, or remove it here.",
      );
    names.add(name);
  }
  return names;
}

function tablesOf(
  colocations: ReadonlyMap<string, Colocation>,
  groups: ReadonlyMap<string, Group>,
  referenceTables: ReadonlySet<string>,
): ReadonlyMap<string, MapTable> {
  const tables = new Map<string, MapTable>();
  for (const colocation of colocations.values()) {
    for (const [name, keyColumns] of colocation.tables) {
      tables.set(name, { kind: "sharded", name, colocation, keyColumns });
    }
  }
  for (const group of groups.values()) {
    for (const name of group.tables) tables.set(name, { kind: "group", name, group });
  }
  for (const name of referenceTables) tables.set(name, { kind: "reference", name });
  return tables;
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}
