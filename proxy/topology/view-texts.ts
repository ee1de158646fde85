/**
 * The texts of views, kept from one reading of the catalog to the next. To print a view's query
 * (pg_get_viewdef) takes a lock on the view and on all that it reads (ruleutils.c,
 * AcquireRewriteLocks), and so waits for whoever alters one of them, and everybody who needs the
 * catalog waits with it. A stamp tells without a lock that nothing has changed of which the text is made.
 *
 * A stamp has the xmin of every row of the system catalogs that the text depends on (pg_depend): no
 * two changes that were committed have the same; and when the server started, so that another
 * one that has taken its place is not taken for it. It is read before the text, which is then as new or
 * newer: of a change between the two, the next reading's stamp tells.
 */
import { quoteLiteral } from "../../base/sql-quoting.ts";
import { VIEWS_WITHOUT_TEXTS_QUERY } from "./catalog-queries.ts";

type Rows = readonly (readonly (string | null)[])[];

/** The object's own row, and that of its schema, by which it is named. */
const stampIn = (catalog: string, schema: string): string => `
  (SELECT concat(o.xmin, '/', n.xmin) FROM ${catalog} o JOIN pg_namespace n ON n.oid = o.${schema} WHERE o.oid = d.refobjid)`;

/** oid, stamp (NULL where the view depends on what is not looked at here), of all views: as VIEWS_QUERY has them. */
const STAMPS_QUERY = `
  WITH views AS (${VIEWS_WITHOUT_TEXTS_QUERY}),
  parts AS (
    SELECT r.ev_class, r.xmin AS rule, d.refclassid, d.refobjid,
           CASE d.refclassid
             WHEN 'pg_class'::regclass THEN ${stampIn("pg_class", "relnamespace")} || ':' ||
               coalesce((SELECT string_agg(concat(a.attnum, '/', a.xmin), ',' ORDER BY a.attnum)
                           FROM pg_attribute a WHERE a.attrelid = d.refobjid AND a.attnum > 0), '')
             WHEN 'pg_type'::regclass THEN ${stampIn("pg_type", "typnamespace")} || ':' ||
               coalesce((SELECT string_agg(e.xmin::text, ',' ORDER BY e.oid)
                           FROM pg_enum e WHERE e.enumtypid = d.refobjid), '')
             WHEN 'pg_proc'::regclass THEN ${stampIn("pg_proc", "pronamespace")}
             WHEN 'pg_operator'::regclass THEN ${stampIn("pg_operator", "oprnamespace")}
             WHEN 'pg_collation'::regclass THEN ${stampIn("pg_collation", "collnamespace")}
             WHEN 'pg_constraint'::regclass THEN ${stampIn("pg_constraint", "connamespace")}
           END AS part
      FROM pg_rewrite r
      JOIN (SELECT DISTINCT objid, refclassid, refobjid FROM pg_depend WHERE classid = 'pg_rewrite'::regclass) d ON d.objid = r.oid
     WHERE r.rulename = '_RETURN')
  SELECT v.oid,
         CASE WHEN count(p.part) > 0 AND bool_and(p.part IS NOT NULL)
              THEN md5(concat(pg_postmaster_start_time(), ' ', (SELECT oid FROM pg_database WHERE datname = current_database()), ' ',
                string_agg(concat(p.rule, ' ', p.refclassid::oid, ' ', p.refobjid, ' ', p.part), ';' ORDER BY p.refclassid::oid, p.refobjid))) END,
         v.readable
    FROM views v LEFT JOIN parts p ON p.ev_class = v.oid
   GROUP BY v.oid, v.readable`;

interface KeptText {
  readonly stamp: string | null;
  readonly text: string | null;
}

export class ViewTexts {
  /** By the view's OID: of the last reading alone. */
  #kept: ReadonlyMap<string, KeptText> = new Map();

  /** The rows of VIEWS_QUERY. `ask` is a transaction's that sees what is committed, and no more. */
  async read(ask: (sql: string) => Promise<Rows>): Promise<Rows> {
    const views = (await ask(STAMPS_QUERY)).map(([oid, stamp, isReadable]) => ({
      oid: oid ?? "",
      stamp: stamp ?? null,
      isReadable: isReadable ?? null,
    }));
    const changed = views.filter(
      ({ oid, stamp }) => stamp === null || this.#kept.get(oid)?.stamp !== stamp,
    );
    const read = await textsOf(
      changed.map(({ oid }) => oid),
      ask,
    );
    const kept = new Map<string, KeptText>();
    for (const { oid, stamp } of views) {
      const text = (read.has(oid) ? read.get(oid) : this.#kept.get(oid)?.text) ?? null;
      kept.set(oid, { stamp, text });
    }
    this.#kept = kept;
    return views.map(({ oid, isReadable }) => [oid, kept.get(oid)?.text ?? null, isReadable]);
  }
}

async function textsOf(
  oids: readonly string[],
  ask: (sql: string) => Promise<Rows>,
): Promise<ReadonlyMap<string, string | null>> {
  if (oids.length === 0) return new Map();
  const rows = await ask(
    `SELECT v, pg_get_viewdef(v, false) FROM unnest(${quoteLiteral(`{${oids.join(",")}}`)}::oid[]) v`,
  );
  return new Map(rows.map(([oid, text]) => [oid ?? "", text ?? null]));
}
