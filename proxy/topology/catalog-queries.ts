/**
 * What is asked of a database's system catalogs, one query an aspect, and the shape of its
 * rows. The texts run unchanged on PostgreSQL 15 to 18: where a column was renamed between
 * them (colliculocale became colllocale, daticulocale datlocale) it is read through JSON.
 *
 * They expect CATALOG_READ_SETTINGS: with an empty search_path the server prints
 * every name outside pg_catalog with its schema, so its texts mean the same in any session.
 */
import { ROUTINE_BODY_CHARACTERS_MAX } from "../../base/limits.ts";
import { callsBuiltInsAlone } from "./expression-trees.ts";

/** Constants printed in forms that every session reads alike, for the rest of a transaction. */
export const CATALOG_READ_SETTINGS = `
  SET LOCAL search_path = '';
  SET LOCAL datestyle = 'ISO, YMD';
  SET LOCAL intervalstyle = 'iso_8601';
  SET LOCAL timezone = 'UTC';
  SET LOCAL bytea_output = 'hex';
  SET LOCAL extra_float_digits = 1;
  SET LOCAL quote_all_identifiers = off;
  SET LOCAL row_security = off;
  SET LOCAL lock_timeout = '10s'`;

/** Differs once anybody has created, altered or dropped what the catalog tells of, or has granted a role to another. */
export const CATALOG_FINGERPRINT_QUERY = `
  SELECT ${[
    "pg_class",
    "pg_attribute",
    "pg_type",
    "pg_enum",
    "pg_proc",
    "pg_constraint",
    "pg_index",
    "pg_attrdef",
    "pg_trigger",
    "pg_rewrite",
    "pg_operator",
    "pg_namespace",
    "pg_inherits",
    "pg_cast",
    "pg_collation",
    "pg_auth_members",
  ]
    .map(
      (table) =>
        `(SELECT pg_catalog.count(*) || ':' || coalesce(pg_catalog.sum(xmin::text::int8), 0) FROM pg_catalog.${table})`,
    )
    .join(", ")}`;

/** Schemas of users: PostgreSQL keeps the prefix pg_ to itself. */
const IS_USER_SCHEMA = `n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

/** Of the session whose backend is asked. Indexes, too: their names hide tables of other schemas. */
const IS_TEMPORARY = `n.oid = pg_my_temp_schema()`;

const RELATION_KINDS = `('r', 'p', 'v', 'm', 'f', 'S', 'c')`;
const TEMPORARY_KINDS = `('r', 'p', 'v', 'S', 'c', 'i', 'I')`;

/** server_version_num, encoding, the default collation (provider, name, locale, versions), and what its user may. */
export const DATABASE_QUERY = `
  SELECT current_setting('server_version_num'), pg_encoding_to_char(d.encoding),
         d.datlocprovider, d.datcollate,
         coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
         d.datcollversion, pg_database_collation_actual_version(d.oid),
         current_setting('max_prepared_transactions'), has_database_privilege(d.oid, 'TEMPORARY')
    FROM pg_database d
   WHERE d.datname = current_database()`;

/** Operators of users that compare built-in types: one exact match of theirs hides PostgreSQL's own. */
export const REDEFINED_COMPARISONS_QUERY = `
  SELECT o.oid::regoperator
    FROM pg_operator o
   WHERE o.oprname IN ('=', '<>', '<', '<=', '>', '>=')
     AND o.oprnamespace <> 'pg_catalog'::regnamespace
     AND o.oprleft < 16384 AND o.oprright < 16384
   ORDER BY o.oid LIMIT 1`;

export const SCHEMAS_QUERY = `
  SELECT n.nspname FROM pg_namespace n WHERE ${IS_USER_SCHEMA}`;

/** oid, schema, name, relkind, has rules, has row security, is inherited. */
const relationsOf = (which: string, kinds: string): string => `
  SELECT c.oid, n.nspname, c.relname, c.relkind,
         EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
         c.relrowsecurity,
         EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ${kinds} AND ${which}
   ORDER BY c.oid`;
export const RELATIONS_QUERY = relationsOf(IS_USER_SCHEMA, RELATION_KINDS);

/** relation, its query, whether this role may select from it: of views and materialized views. */
const viewsOf = (which: string, query: string): string => `
  SELECT c.oid, ${query}, has_table_privilege(c.oid, 'SELECT') AS readable
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('v', 'm') AND ${which}`;
const VIEW_TEXT = "pg_get_viewdef(c.oid, false)";
export const VIEWS_QUERY = viewsOf(IS_USER_SCHEMA, VIEW_TEXT);
/** The same without their queries, which take locks to print. */
export const VIEWS_WITHOUT_TEXTS_QUERY = viewsOf(IS_USER_SCHEMA, "NULL");

/**
 * relation, name, number, type, typmod, collation, not null, identity, generated, default
 * where it is not, the type's name, the type's own default, whether an extension's random uuid is the default.
 */
const columnsOf = (which: string, kinds: string): string => `
  SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull,
         a.attidentity, a.attgenerated, CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0) END,
         format_type(a.atttypid, NULL), coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)),
         EXISTS (SELECT FROM pg_depend p
                   JOIN pg_proc f ON p.refclassid = 'pg_proc'::regclass AND f.oid = p.refobjid
                   JOIN pg_language l ON l.oid = f.prolang AND l.lanname = 'c'
                  WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
                    AND f.prosrc IN ('uuid_generate_v4', 'pg_random_uuid'))
    FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ${kinds}
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE a.attnum > 0 AND NOT a.attisdropped AND ${which}
   ORDER BY a.attrelid, a.attnum`;
export const COLUMNS_QUERY = columnsOf(IS_USER_SCHEMA, RELATION_KINDS);

/**
 * relation, column number, schema, sequence: of identity columns, whose sequence depends on
 * the column, and of defaults, which depend on their sequence.
 */
export const SEQUENCES_QUERY = `
  SELECT p.refobjid, p.refobjsubid, n.nspname, s.relname
    FROM pg_depend p
    JOIN pg_class s ON p.classid = 'pg_class'::regclass AND s.oid = p.objid AND s.relkind = 'S'
    JOIN pg_namespace n ON n.oid = s.relnamespace
   WHERE p.refclassid = 'pg_class'::regclass AND p.deptype = 'i'
  UNION ALL
  SELECT d.adrelid, d.adnum, n.nspname, s.relname
    FROM pg_attrdef d
    JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
    JOIN pg_class s ON p.refclassid = 'pg_class'::regclass AND s.oid = p.refobjid AND s.relkind = 'S'
    JOIN pg_namespace n ON n.oid = s.relnamespace`;

/** relation, index, is primary, is plain (no expression, predicate or exclusion), key columns as JSON. */
const uniqueKeysOf = (which: string): string => `
  SELECT i.indrelid, x.relname, i.indisprimary,
         i.indpred IS NULL AND i.indexprs IS NULL AND NOT i.indisexclusion,
         (SELECT json_agg(a.attname ORDER BY k.place)
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
           WHERE k.place <= i.indnkeyatts)
    FROM pg_index i
    JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = x.relnamespace
   WHERE i.indisunique AND i.indisvalid AND ${which}
   ORDER BY i.indrelid, x.relname`;
export const UNIQUE_KEYS_QUERY = uniqueKeysOf(IS_USER_SCHEMA);

/** relation, name, columns as JSON, referenced schema, referenced table, referenced columns as JSON. */
const foreignKeysOf = (which: string): string => `
  SELECT f.conrelid, f.conname, own.names, rn.nspname, r.relname, referenced.names
    FROM pg_constraint f
    JOIN pg_class r ON r.oid = f.confrelid
    JOIN pg_namespace rn ON rn.oid = r.relnamespace
    JOIN pg_namespace n ON n.oid = f.connamespace
   CROSS JOIN LATERAL (
         SELECT json_agg(a.attname ORDER BY k.place) AS names
           FROM unnest(f.conkey) WITH ORDINALITY AS k(number, place)
           JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number) own
   CROSS JOIN LATERAL (
         SELECT json_agg(a.attname ORDER BY k.place) AS names
           FROM unnest(f.confkey) WITH ORDINALITY AS k(number, place)
           JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number) referenced
   WHERE f.contype = 'f' AND ${which}
   ORDER BY f.conrelid, f.conname`;
export const FOREIGN_KEYS_QUERY = foreignKeysOf(IS_USER_SCHEMA);

/** As much of a function's text as is read, and one character more that tells of a longer one. */
const BODY_CHARACTERS = ROUTINE_BODY_CHARACTERS_MAX + 1;

/**
 * relation, name, function's schema, name, language and text, is for each row, the definition where its WHEN may call more
 * than PostgreSQL's own immutable functions.
 * A migration's fence and its guard against TRUNCATE refuse what is meant for them, and have no other effect.
 */
export const TRIGGERS_QUERY = `
  SELECT g.tgrelid, g.tgname, n.nspname, f.proname, l.lanname, left(f.prosrc, ${BODY_CHARACTERS}),
         g.tgtype & 1 = 1, CASE WHEN g.tgqual IS NOT NULL AND NOT ${callsBuiltInsAlone("g.tgqual")} THEN pg_get_triggerdef(g.oid) END
    FROM pg_trigger g
    JOIN pg_proc f ON f.oid = g.tgfoid
    JOIN pg_namespace n ON n.oid = f.pronamespace
    JOIN pg_language l ON l.oid = f.prolang
   WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND NOT (n.nspname = 'colonnade' AND f.proname IN ('refuse_write', 'refuse_truncate'))
   ORDER BY g.tgrelid, g.tgname`;

/** relation, name, whether the rows there keep it, whether it binds every row to come (conenforced is of PostgreSQL 18 and later): CHECK constraints. */
export const CHECKS_QUERY = `
  SELECT k.conrelid, k.conname, k.convalidated, NOT k.connoinherit AND coalesce(to_jsonb(k) ->> 'conenforced', 'true') = 'true'
    FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
   WHERE k.contype = 'c' AND k.conrelid <> 0 AND ${IS_USER_SCHEMA}`;

/** Whether the session's role may keep the proxy's own records (of commits in two phases, of locks) in the schema "colonnade". */
export const RECORDS_QUERY = `
  SELECT CASE WHEN to_regnamespace('colonnade') IS NULL THEN has_database_privilege(current_database(), 'CREATE')
              ELSE has_schema_privilege('colonnade', 'USAGE') AND has_schema_privilege('colonnade', 'CREATE')
                   AND NOT EXISTS (
                     SELECT FROM pg_class c
                      WHERE c.relname = 'commit_record' AND c.relnamespace = to_regnamespace('colonnade')
                        AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                                 AND has_table_privilege(c.oid, 'DELETE'))) END`;

/** table, which of four rights the session's role has on it as JSON, whether policies decide which rows it sees. */
export const RIGHTS_QUERY = `
  SELECT c.oid,
         (SELECT json_agg(w) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) w
           WHERE has_table_privilege(c.oid, w) AND has_schema_privilege(c.relnamespace, 'USAGE')),
         row_security_active(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'p') AND ${IS_USER_SCHEMA}`;

/** oid: collations that were used under another version of their library. */
export const COLLATION_VERSIONS_QUERY = `
  SELECT c.oid FROM pg_collation c
   WHERE c.collversion IS DISTINCT FROM pg_collation_actual_version(c.oid) AND c.collprovider <> 'd'
     AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()))`;

/** oid, schema, name, typtype, category, element, base, collation, labels as JSON. */
export const TYPES_QUERY = `
  SELECT t.oid, n.nspname, t.typname, t.typtype, t.typcategory,
         CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN t.typelem ELSE 0 END,
         t.typbasetype, t.typcollation,
         CASE WHEN t.typtype = 'e' THEN
           (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
         END
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
   WHERE n.nspname !~ '^pg_(toast|temp)'`;

/** relation, schema, name, and its columns' numbers by name as JSON. */
export const COLUMN_NUMBERS_QUERY = `
  SELECT c.oid, n.nspname, c.relname, json_object_agg(a.attname, a.attnum)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relkind IN ${RELATION_KINDS} AND ${IS_USER_SCHEMA}
   GROUP BY c.oid, n.nspname, c.relname`;

/** range or multirange, the subtype of its bounds. */
export const RANGES_QUERY = `
  SELECT r.rngtypid, r.rngsubtype FROM pg_range r
  UNION ALL
  SELECT r.rngmultitypid, r.rngsubtype FROM pg_range r`;

/** What an aggregate does, as calls of the functions that it is made of. */
const AGGREGATE_CALLS = `(
  SELECT string_agg(quote_ident(part.proname) || '()', ', ')
    FROM pg_aggregate g
    JOIN pg_proc part ON part.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggmtransfn, g.aggmfinalfn)
   WHERE g.aggfnoid = f.oid)`;

/** schema, name, prokind, volatility, language, an immutable one's text, the defaults of its arguments before it: outside pg_catalog all, of it those that are not immutable. */
export const FUNCTIONS_QUERY = `
  SELECT n.nspname, f.proname, f.prokind, f.provolatile, l.lanname,
         CASE WHEN f.prokind = 'a' THEN ${AGGREGATE_CALLS}
              WHEN f.provolatile = 'i' AND l.lanname IN ('sql', 'plpgsql')
              THEN left(concat_ws('; ', pg_get_expr(f.proargdefaults, 0),
                                        coalesce(pg_get_function_sqlbody(f.oid), f.prosrc)), ${BODY_CHARACTERS}) END
    FROM pg_proc f
    JOIN pg_namespace n ON n.oid = f.pronamespace
    JOIN pg_language l ON l.oid = f.prolang
   WHERE n.nspname !~ '^pg_(toast|temp)' AND (n.nspname <> 'pg_catalog' OR f.provolatile <> 'i')
   ORDER BY f.proname, f.oid`;

/**
 * kind, name or relation, text: what operators, casts and domains, and the constraints and indexes of
 * tables call, but for those of tables that call PostgreSQL's own immutable functions alone. PostgreSQL's own operators and casts are in no user's function.
 */
export const HIDDEN_CALLS_QUERY = `
  WITH written AS (
    SELECT f.oid, quote_ident(f.proname) || '()' AS call
      FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang
     WHERE l.lanname NOT IN ('internal', 'c'))
  SELECT 'operator', o.oprname, w.call FROM pg_operator o JOIN written w ON w.oid = o.oprcode
  UNION ALL
  SELECT 'type', t.typname, w.call
    FROM pg_cast c JOIN written w ON w.oid = c.castfunc JOIN pg_type t ON t.oid = c.casttarget
  UNION ALL
  SELECT 'type', t.typname, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid JOIN pg_namespace n ON n.oid = t.typnamespace
   WHERE ${IS_USER_SCHEMA}
  UNION ALL
  SELECT 'relation', k.conrelid::text, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
   WHERE k.contype = 'c' AND k.conrelid <> 0 AND ${IS_USER_SCHEMA} AND NOT ${callsBuiltInsAlone("k.conbin")}
  UNION ALL
  SELECT 'relation', i.indrelid::text,
         concat_ws(', ', pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid))
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
   WHERE (NOT ${callsBuiltInsAlone("i.indexprs")} OR NOT ${callsBuiltInsAlone("i.indpred")}) AND ${IS_USER_SCHEMA}`;

/** oid, schema, name, deterministic, provider, collate, locale: those usable in this database's encoding. */
export const COLLATIONS_QUERY = `
  SELECT c.oid, n.nspname, c.collname, c.collisdeterministic, c.collprovider, c.collcollate,
         coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale')
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
   WHERE c.collprovider <> 'd'
     AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database()))`;

/** The same of the temporary relations of the session whose backend is asked. */
export const TEMPORARY_QUERIES = {
  schemas: `SELECT n.nspname FROM pg_namespace n WHERE ${IS_TEMPORARY}`,
  relations: relationsOf(IS_TEMPORARY, TEMPORARY_KINDS),
  views: viewsOf(IS_TEMPORARY, VIEW_TEXT),
  columns: columnsOf(IS_TEMPORARY, TEMPORARY_KINDS),
  uniqueKeys: uniqueKeysOf(IS_TEMPORARY),
  foreignKeys: foreignKeysOf(IS_TEMPORARY),
} as const;
