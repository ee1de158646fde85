/**
 * What the expressions of tables call, as far as pg_node_tree tells. To print an expression that has
 * columns in it (pg_get_expr, pg_get_constraintdef, pg_get_triggerdef) takes a lock on its table (ruleutils.c), and so waits for
 * whoever changes that table; to read its tree does not.
 */

/** Nodes that do nothing but what their functions and operators do (nodes/primnodes.h), under the names of all supported versions. */
const PLAIN_NODES = [
  "VAR",
  "CONST",
  "FUNCEXPR",
  "OPEXPR",
  "DISTINCTEXPR",
  "NULLIFEXPR",
  "SCALARARRAYOPEXPR",
  "BOOLEXPR",
  "NULLTEST",
  "BOOLEANTEST",
  "RELABELTYPE",
  "ARRAY",
  "ARRAYEXPR",
  "CASE",
  "CASEEXPR",
  "WHEN",
  "CASEWHEN",
  "CASETESTEXPR",
  "COALESCE",
  "COALESCEEXPR",
];

/** FirstNormalObjectId (access/transam.h): what has a smaller OID came with the server. */
const FIRST_USER_OID = 16384;

/** SQL: the tree calls PostgreSQL's own immutable functions alone, by name or by operator. Strict about what it does not know. */
export function callsBuiltInsAlone(tree: string): string {
  return `(
    ${tree}::text !~ '[{](?!(?:${PLAIN_NODES.join("|")})[ }])'
    AND NOT EXISTS (
      SELECT FROM regexp_matches(${tree}::text, ':(funcid|opno) ([0-9]+)', 'g') AS call
        LEFT JOIN pg_operator op ON call[1] = 'opno' AND op.oid = call[2]::oid
        LEFT JOIN pg_proc fn ON fn.oid = CASE call[1] WHEN 'opno' THEN op.oprcode::oid ELSE call[2]::oid END
       WHERE fn.oid IS NULL OR fn.oid >= ${FIRST_USER_OID} OR fn.provolatile <> 'i'))`;
}
