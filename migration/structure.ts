/**
 * Whether tables of a move are alike on both sides in what is more than their rows: columns,
 * constraints, indexes, triggers. No stream tells of those, so what is made on one side while rows
 * are copied would be lost by the switch, and a rule that holds on one side alone lets rows in that the
 * other refuses.
 */
import { quoteLiteral, quoteQualified } from "../base/sql-quoting.ts";
import type { BackendConnection } from "../proxy/backend/backend-connection.ts";
import { GUARD_CONSTRAINT } from "../shardmap/guard.ts";
import { placementsOf, tableName } from "./move.ts";
import type { PlannedMove } from "./move.ts";
import { OWN_TRIGGER_PREFIX } from "./schema-copy.ts";

/** Text by `kind name`. */
type Structure = ReadonlyMap<string, string>;

export interface StructureOptions {
  /** Whether the target may have what this source has not: of a merge, where others have it. */
  readonly mayHaveMore: boolean;
}

/** Sentences; empty where all is alike. Both sessions have an empty search_path. */
export async function structureDifferences(
  source: BackendConnection,
  target: BackendConnection,
  move: Pick<PlannedMove, "tables">,
  { mayHaveMore }: StructureOptions,
): Promise<readonly string[]> {
  const isSameMajor = (await majorOf(source)) === (await majorOf(target));
  const found: string[] = [];
  for (const table of move.tables) {
    const own = await structureOf(source, table);
    for (const { database, schema } of placementsOf(table.destination)) {
      if (database !== target.database) continue;
      const its = await structureOf(target, { schema, name: table.name });
      const here = `${source.database}'s ${tableName(table)}`;
      const there = `${database}'s ${schema}.${table.name}`;
      for (const [what, text] of own)
        if (!its.has(what)) found.push(`${what} of ${here} is not there in ${there}`);
        // Versions print the same expression otherwise.
        else if (isSameMajor && its.get(what) !== text)
          found.push(`${what} of ${here} is another one in ${there}`);
      for (const what of its.keys())
        if (!mayHaveMore && !own.has(what))
          found.push(`${what} of ${there} is not there in ${here}`);
    }
  }
  return found;
}

async function majorOf(connection: BackendConnection): Promise<number> {
  const { rows } = await connection.query("SHOW server_version_num");
  return Math.floor(Number(rows[0]?.[0]) / 10_000);
}

async function structureOf(
  connection: BackendConnection,
  { schema, name }: { readonly schema: string; readonly name: string },
): Promise<Structure> {
  const table = `${quoteLiteral(quoteQualified(schema, name))}::regclass`;
  const printed = `format('%I.%I', ${quoteLiteral(schema)}::text, ${quoteLiteral(name)}::text)`;
  const withoutName = (definition: string): string =>
    `replace(replace(${definition}, ' ON ONLY ' || ${printed} || ' ', ' ON '), ' ON ' || ${printed} || ' ', ' ON ')`;
  // A sequence is the schema's own, and a foreign key names tables of its own schema.
  const { rows } = await connection.query(`
SELECT 'column ' || a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
  CASE WHEN e.text NOT LIKE 'nextval(%' THEN e.text END)
FROM pg_attribute a LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
CROSS JOIN LATERAL (SELECT pg_get_expr(f.adbin, f.adrelid) AS text) e
WHERE a.attrelid = ${table} AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint ' || conname, CASE contype WHEN 'f' THEN concat(confupdtype, confdeltype, confmatchtype, condeferrable, condeferred)
  ELSE replace(pg_get_constraintdef(oid), ' NOT VALID', '') END
FROM pg_constraint WHERE conrelid = ${table} AND conparentid = 0 AND contype IN ('c', 'f', 'p', 'u', 'x') AND conname <> ${quoteLiteral(GUARD_CONSTRAINT)}
UNION ALL
SELECT 'index ' || c.relname, ${withoutName("pg_get_indexdef(i.indexrelid)")}
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ${table} AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'trigger ' || tgname, concat(${withoutName("pg_get_triggerdef(oid)")}, ' ', tgenabled = 'D')
FROM pg_trigger WHERE tgrelid = ${table} AND NOT tgisinternal AND tgparentid = 0 AND NOT starts_with(tgname, ${quoteLiteral(OWN_TRIGGER_PREFIX)})`);
  return new Map(rows.map(([what, text]) => [what ?? "", text ?? ""]));
}
