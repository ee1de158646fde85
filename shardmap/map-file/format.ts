/**
 * The shape of a map file: which fields there are and what type each has. From here come
 * the validation of a file's structure and the JSON Schema that editors read. What fields
 * mean together (coverage, names used twice) is checked by the readers beside it.
 */
import { z } from "zod";
import { fields } from "../../base/document/fields.ts";
import {
  KEY_COLUMNS_MAX,
  LOGICAL_SHARDS_MAX,
  SEQUENCE_BLOCK_SIZE,
  SEQUENCE_BLOCK_SIZE_MAX,
} from "../../base/limits.ts";
import { KEY_TYPES } from "../shard-key.ts";

const name = z.string().min(1);

const keyType = z.enum(KEY_TYPES);

/** A shard number, `0-239`, or `0-3,8`. */
const shardSet = z.union([z.int().min(0), z.string()]);

/** A key value as YAML has it; its key type reads it. */
const keyScalar = z.union([z.string(), z.number()]);

export const databaseFile = fields({
  primary: z
    .string()
    .optional()
    .describe(
      "URL of the primary: postgres://user@host:port/database. Statements run as its user, whoever the client is",
    ),
  replicas: z
    .array(z.string())
    .optional()
    .describe("URLs of its streaming replicas; noted only: nothing is read from them yet"),
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
    .describe(
      "the schema that holds the tables there, which CREATE SCHEMA makes; left out: the canonical one",
    ),
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
      "hash: how many logical shards there are. A row's shard is its key's hash modulo this, so another number lays out " +
        "all rows anew, by a migration to new placements; choose one that divides well, such as 480, and far above the number of databases",
    ),
  tables: z
    .record(name, keyColumnsFile)
    .describe("table: its shard key column, or a list of columns for a composite key"),
  placements: z
    .array(placementFile)
    .min(1)
    .describe(
      "where the logical shards live: each shard in exactly one placement, a schema of a database",
    ),
});

export const groupFile = fields({
  database: name.describe("a name under `databases`"),
  schema: name
    .optional()
    .describe(
      "the schema that holds the tables there, which CREATE SCHEMA makes; left out: the canonical one",
    ),
  tables: z.array(name).describe("tables whose rows all live there; a table has one place"),
});

export const versionFile = z.int().min(1);

export const catalogFile = z.union([
  name,
  fields({
    database: name.describe("a name under `databases`"),
    schema: name.optional().describe("the canonical schema; left out: public"),
  }),
]);

export const sequenceBlockFile = z.int().min(1).max(SEQUENCE_BLOCK_SIZE_MAX);

export const sequencesFile = fields({
  block_size: sequenceBlockFile
    .optional()
    .describe(
      `ids that a proxy draws of a sequence at once, ${SEQUENCE_BLOCK_SIZE} unless it is given: more are fewer round trips, ` +
        "and larger gaps when a proxy stops; with 1, ids rise in the order they are given out",
    ),
  block_sizes: z
    .record(name, sequenceBlockFile)
    .optional()
    .describe("sequence of the canonical schema: its own block size"),
});

export const unlistedTablesFile = z.enum(["catalog", "error"]);

export const mapFile = fields({
  version: versionFile.describe(
    "raise it with every change; logs and colonnade_map_version tell which version is in use",
  ),
  catalog: catalogFile.describe(
    "the database that holds a canonical definition of every table, by which statements are checked and " +
      "described, the sequences, and every table that the map does not name; it may hold shards, too",
  ),
  databases: z
    .record(name, databaseFile)
    .describe(
      "every physical PostgreSQL database, by a name that this map and the proxy's errors use",
    ),
  colocations: z
    .record(name, colocationFile)
    .optional()
    .describe(
      "tables that share a shard key: rows of equal keys live in one place, where they may be joined",
    ),
  groups: z
    .record(name, groupFile)
    .optional()
    .describe("tables that are not sharded and live together, whole, in one database"),
  reference_tables: z
    .array(name)
    .optional()
    .describe(
      "small tables held whole in every database, so that every join with them is local; a write goes to all",
    ),
  coalesce_reads: z
    .array(name)
    .optional()
    .describe(
      "tables of this map whose reads may be coalesced: clients that ask the very same of them before it is sent get one answer",
    ),
  sequences: sequencesFile
    .optional()
    .describe("how ids that are unique over all placements are drawn from the catalog database"),
  unlisted_tables: unlistedTablesFile
    .optional()
    .describe(
      "a table the map does not name: served from the catalog database (the default), or an error",
    ),
});

export type PlacementFile = z.infer<typeof placementFile>;
