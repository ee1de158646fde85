/**
 * The temporary relations of one session, read over the backend that has them, as a catalog of
 * the session's own: everyone's, and beside it the schema `pg_temp`.
 */
import type { Catalog, CatalogRelation } from "../../shardmap/catalog.ts";
import { TEMPORARY_SCHEMA } from "../../shardmap/catalog.ts";
import type { BackendConnection } from "../backend/backend-connection.ts";
import { buildRelations } from "./catalog-build.ts";
import type { RelationRows } from "./catalog-build.ts";
import { SEQUENCES_QUERY, TEMPORARY_QUERIES, TRIGGERS_QUERY } from "./catalog-queries.ts";
import { inSnapshot } from "./catalog-source.ts";
import type { Ask } from "./catalog-source.ts";

/** `epoch`: of no other catalog. Leaves an open transaction as it was, like loadCatalog. */
export async function withTemporaryRelations(
  connection: BackendConnection,
  base: Catalog,
  epoch: number,
): Promise<Catalog> {
  const rows = await inSnapshot(connection, undefined, readTemporaryRows);
  const relations = new Map(base.relations);
  // A session has one such schema. Its own name is no secret, and may be written as well.
  for (const [schema, found] of buildRelations(rows)) {
    const own = new Map([...found].map(([name, relation]) => [name, asTemporary(relation)]));
    relations.set(schema, own);
    relations.set(TEMPORARY_SCHEMA, own);
  }
  return { ...base, epoch, relations };
}

function asTemporary(relation: CatalogRelation): CatalogRelation {
  return { ...relation, schema: TEMPORARY_SCHEMA };
}

async function readTemporaryRows(ask: Ask): Promise<RelationRows> {
  return {
    schemas: await ask(TEMPORARY_QUERIES.schemas),
    relations: await ask(TEMPORARY_QUERIES.relations),
    views: await ask(TEMPORARY_QUERIES.views),
    columns: await ask(TEMPORARY_QUERIES.columns),
    sequences: await ask(SEQUENCES_QUERY),
    uniqueKeys: await ask(TEMPORARY_QUERIES.uniqueKeys),
    foreignKeys: await ask(TEMPORARY_QUERIES.foreignKeys),
    triggers: await ask(TRIGGERS_QUERY),
  };
}
