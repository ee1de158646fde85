/**
 * The shape of a map file: which fields there are and what type each has. From here come
 * the validation of a file's structure and the JSON Schema that editors read. What fields
 * mean together (coverage, names used twice) is checked by the readers beside it.
 */
import { z } from "zod";
import { fields } from "../../base/document/fields.ts";
import { KEY_COLUMNS_MAX, LOGICAL_SHARDS_MAX } from "../../base/limits.ts";
import { KEY_TYPES } from "../shard-key.ts";

const name = z.string().min(1);

const keyType = z.enum(KEY_TYPES);

/** A shard number, `0-239`, or `0-3,8`. */
const shardSet = z.union([z.int().min(0), z.string()]);

/** A key value as YAML has it; its key type reads it. */
const keyScalar = z.union([z.string(), z.number()]);

export const databaseFile = fields({
  primary: z.string().optional().describe("URL of the primary: postgres://user@host:port/database"),
  replicas: z.array(z.string()).optional().describe("URLs of its streaming replicas"),
  embedded: z
    .boolean()
    .optional()
    .describe("true: `colonnade dev` runs the server itself; instead of `primary`"),
});

export const placementFile = fields({
  shards: z
    .union([shardSet, z.array(shardSet).min(1)])
    .optional()
    .describe(
      "hash: the logical shards that live here: 0-239, or 0-3,8, or a number, or a list of these",
    ),
  ranges: z
    .array(
      fields({
        from: keyScalar.optional().describe("first key inside; left out: unbounded"),
        to: keyScalar.optional().describe("first key after it, not inside; left out: unbounded"),
      }),
    )
    .min(1)
    .optional()
    .describe("range: the key ranges that live here; each is one logical shard"),
  values: z
    .array(keyScalar)
    .min(1)
    .optional()
    .describe("list: the keys that live here; together they are one logical shard"),
  default: z.boolean().optional().describe("list: keys that no placement names live here"),
  database: name.describe("a name under `databases`"),
  schema: name
    .optional()
    .describe("the schema that holds the tables there; left out: the canonical one, public"),
});

export const keyColumnsFile = z.union([name, z.array(name).min(1)]);

export const shardKeyFile = z.union([keyType, z.array(keyType).min(1).max(KEY_COLUMNS_MAX)]);

export const functionFile = z.enum(["hash", "range", "list"]);

export const logicalShardsFile = z.int().min(1).max(LOGICAL_SHARDS_MAX);

export const colocationFile = fields({
  shard_key: shardKeyFile.describe(
    "the type of the shard key; a list of types for a composite key",
  ),
  function: functionFile.describe("hash spreads evenly; range serves time; list names its values"),
  logical_shards: logicalShardsFile
    .optional()
    .describe(
      "hash: the number of buckets; fixed for ever, so choose one that divides well, such as 480",
    ),
  tables: z
    .record(name, keyColumnsFile)
    .describe("table: its shard key column, or a list of columns for a composite key"),
  placements: z
    .array(placementFile)
    .min(1)
    .describe("where the logical shards live; each shard exactly once"),
});

export const groupFile = fields({
  database: name.describe("a name under `databases`"),
  schema: name
    .optional()
    .describe("the schema that holds the tables there; left out: the canonical one, public"),
  tables: z.array(name),
});

export const versionFile = z.int().min(1);

export const catalogFile = z.union([name, fields({ database: name, schema: name.optional() })]);

export const unlistedTablesFile = z.enum(["catalog", "error"]);

export const mapFile = fields({
  version: versionFile.describe("grows with every change"),
  catalog: catalogFile.describe(
    "the database that holds the canonical tables, or { database, schema }",
  ),
  databases: z
    .record(name, databaseFile)
    .describe("every physical PostgreSQL, by a name of its own"),
  colocations: z
    .record(name, colocationFile)
    .optional()
    .describe("tables that share a shard key and live together"),
  groups: z
    .record(name, groupFile)
    .optional()
    .describe("unsharded tables that live together in one database"),
  reference_tables: z.array(name).optional().describe("small tables held whole in every database"),
  unlisted_tables: unlistedTablesFile
    .optional()
    .describe(
      "a table the map does not name: served from the catalog database (the default), or an error",
    ),
});

export type PlacementFile = z.infer<typeof placementFile>;
