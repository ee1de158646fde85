/** What the catalogs of all databases say, as far as a migration might leave something in them. */
import type { Fleet } from "../../../cli/rehearse/fleet.ts";

const SQL = `
SELECT 'schema ' || nspname AS entry FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|colonnade$)'
UNION ALL SELECT relkind::text || ' ' || c.oid::regclass || ' of ' || n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^(pg_|information_schema|colonnade$)'
UNION ALL SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE attnum > 0 AND nspname !~ '^(pg_|information_schema|colonnade$)'
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace WHERE conrelid <> 0 AND nspname !~ '^(pg_|information_schema|colonnade$)'
UNION ALL SELECT 'trigger ' || tgname || ' ' || tgrelid::regclass FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE NOT tgisinternal AND nspname <> 'colonnade'
UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
UNION ALL SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots
UNION ALL SELECT 'origin ' || roname FROM pg_replication_origin
UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts
UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname <> 'plain_writer'`;

export async function catalogFingerprint(fleet: Fleet): Promise<ReadonlySet<string>> {
  const entries = new Set<string>();
  for (const database of fleet.databases)
    for (const { entry } of await fleet.query(database, SQL))
      entries.add(`${database}: ${String(entry)}`);
  return entries;
}

/** Sentences. */
export function differing(
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
): readonly string[] {
  return [
    ...[...before].filter((entry) => !after.has(entry)).map((entry) => `gone: ${entry}`),
    ...[...after].filter((entry) => !before.has(entry)).map((entry) => `new: ${entry}`),
  ];
}
