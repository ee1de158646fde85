/** Binds a COPY ... FROM STDIN: where its rows may go, and where one row goes by its key. */
import { invariant, unreachable } from "../base/invariant.ts";
import type { DatabaseName } from "../base/ids.ts";
import { SqlError, type ErrorId } from "../base/sql-error.ts";
import { assignedFromBinary, assignedFromText } from "../shardmap/key-assignment.ts";
import { PLAIN_SPELLING, type KeyReading, type KeyValue } from "../shardmap/shard-key.ts";
import type { Placement, ShardMap } from "../shardmap/shard-map.ts";
import { placementOf } from "./bind-keys.ts";
import type { CopyInPlan, CopyKey } from "./copy/copy-plan.ts";
import { renderTemplate } from "./sql-template.ts";
import type { RenderedSql, SqlTemplate } from "./sql-template.ts";

/** A placement, or a database as a whole. */
export interface CopyPlace {
  readonly database: DatabaseName;
  /** As in Fragment.placementIds. */
  readonly placementId: string;
  readonly rendered: RenderedSql;
}

/** A field of a row that the shard key is read from. */
export interface KeyField {
  readonly value: Buffer | null;
  readonly isQuoted: boolean;
  /** It is the marker of DEFAULT. */
  readonly isDefault: boolean;
}

/** `fields`: one a key column that stands in the data, in the key's order. */
export type PlacesOfRow = (
  fields: readonly (KeyField | undefined)[],
  drawn: readonly string[],
  line: number,
) => readonly CopyPlace[];

export interface BoundCopy {
  /** Every place gets every row. */
  readonly isEverywhere: boolean;
  /** The places' statements are the client's, and take its data as it comes: no row is read. */
  readonly isRelayed: boolean;
  /** At least one. */
  readonly places: readonly CopyPlace[];
  /** What the first place is asked, before any row, of a statement whose rows are taken apart. */
  readonly check: RenderedSql | undefined;
  /** The fields to read of each row, by index in the data. */
  readonly keyFields: readonly number[];
  /** Throws SqlError where no place may take the row. */
  readonly placesOf: PlacesOfRow;
}

export function bindCopy(plan: CopyInPlan, map: ShardMap): BoundCopy {
  const { target, template, rows } = plan;
  const { canonicalSchema } = map;
  const rendered = (sql: SqlTemplate, placement: Placement | undefined): RenderedSql =>
    renderTemplate(sql, { placement, canonicalSchema, limit: undefined });
  const at = (database: DatabaseName, placement: Placement | undefined): CopyPlace => ({
    database,
    placementId: placement?.id ?? `${database}.${canonicalSchema}`,
    rendered: rendered(template, placement),
  });
  const checkAt = (placement: Placement | undefined): RenderedSql | undefined =>
    rows === undefined ? undefined : rendered(rows.check, placement);
  switch (target.kind) {
    case "home":
    case "everyDatabase": {
      const isEverywhere = target.kind === "everyDatabase";
      const databases = isEverywhere ? [...map.databases.keys()] : [target.database];
      const places = databases.map((database) => at(database, undefined));
      const check = checkAt(undefined);
      return toAll(places, { check, isEverywhere, isRelayed: rows === undefined });
    }
    case "sharded":
      return bindSharded(plan, target, map, { at, checkAt });
    default:
      return unreachable(target);
  }
}

/** No key of a row is asked for. */
function toAll(
  places: readonly CopyPlace[],
  said: Pick<BoundCopy, "check" | "isEverywhere" | "isRelayed">,
): BoundCopy {
  return { ...said, places, keyFields: [], placesOf: () => places };
}

function bindSharded(
  plan: CopyInPlan,
  target: Extract<CopyInPlan["target"], { kind: "sharded" }>,
  map: ShardMap,
  {
    at,
    checkAt,
  }: {
    readonly at: (database: DatabaseName, placement: Placement) => CopyPlace;
    readonly checkAt: (placement: Placement | undefined) => RenderedSql | undefined;
  },
): BoundCopy {
  const colocation = map.colocations.get(target.table.colocation.name);
  if (colocation === undefined) {
    throw new SqlError(
      "shard_key_not_covered",
      `colocation "${target.table.colocation.name}" is no longer in the shard map`,
    );
  }
  const placeOf = new Map(
    colocation.placements.map((placement) => [placement, [at(placement.database, placement)]]),
  );
  const places = [...placeOf.values()].flat();
  const check = checkAt(colocation.placements[0]);
  if (places.length === 1 && plan.rows?.isRelayable === true && check !== undefined) {
    const asSent = places.map((place) => ({ ...place, rendered: check }));
    return toAll(asSent, { check, isEverywhere: false, isRelayed: true });
  }
  const keyFields = target.key.flatMap(({ source }) =>
    source.kind === "field" ? [source.index] : [],
  );
  const reader = new KeyReader(plan, target.key);
  return {
    places,
    check,
    isEverywhere: false,
    isRelayed: false,
    keyFields,
    placesOf: (fields, drawn, line) => {
      const key = reader.read(fields, drawn, line);
      // Every server refuses the value, so any may word the error.
      if (key === "invalid") return places.slice(0, 1);
      const found = placeOf.get(placementOf(colocation, key));
      invariant(found !== undefined, "a key's placement is one of its colocation's");
      return found;
    },
  };
}

interface FieldOfKey extends Pick<CopyKey, "name" | "column"> {
  readonly source: Extract<CopyKey["source"], { kind: "field" }>;
}

class KeyReader {
  readonly #key: readonly CopyKey[];
  readonly #table: string;
  readonly #isBinary: boolean;
  readonly #nullText: Buffer;

  constructor({ table, rows }: CopyInPlan, key: readonly CopyKey[]) {
    invariant(rows !== undefined, "rows of a sharded table are taken apart");
    this.#key = key;
    this.#table = table;
    this.#isBinary = rows.format.kind === "binary";
    this.#nullText = Buffer.from(rows.format.kind === "binary" ? "" : rows.format.nullText);
  }

  read(
    fields: readonly (KeyField | undefined)[],
    drawn: readonly string[],
    line: number,
  ): readonly KeyValue[] | "invalid" {
    const values: KeyValue[] = [];
    let field = 0;
    for (const part of this.#key) {
      const isField = part.source.kind === "field";
      const value = this.#value(part, isField ? fields[field] : undefined, drawn, line);
      if (isField) field += 1;
      if (value === "invalid") return value;
      if (value === "unproven") {
        throw this.#refused(
          "shard_key_not_proven",
          `value of shard key column "${part.name}" of table "${this.#table}" cannot be read`,
          line,
          PLAIN_SPELLING[part.column.type],
        );
      }
      values.push(value);
    }
    return values;
  }

  #value(
    { name, typeOid, column, source }: CopyKey,
    field: KeyField | undefined,
    drawn: readonly string[],
    line: number,
  ): KeyReading {
    switch (source.kind) {
      case "constant":
        return assignedFromText(column, source.text);
      case "generated":
        return assignedFromText(column, drawn[source.index] ?? "");
      case "field": {
        invariant(field !== undefined, "a row has a field for each column of its key");
        if (field.isDefault) return this.#byDefault({ name, column, source }, drawn, line);
        const value = this.#forced(field, source);
        if (value === null) {
          throw this.#refused(
            "shard_key_null",
            `null value in shard key column "${name}" of table "${this.#table}"`,
            line,
          );
        }
        return this.#isBinary
          ? assignedFromBinary(column, typeOid, value)
          : assignedFromText(column, value.toString("utf8"));
      }
      default:
        return unreachable(source);
    }
  }

  #byDefault(
    { name, column, source }: FieldOfKey,
    drawn: readonly string[],
    line: number,
  ): KeyReading {
    const { byDefault } = source;
    switch (byDefault.kind) {
      case "constant":
        return assignedFromText(column, byDefault.text);
      case "generated":
        return assignedFromText(column, drawn[byDefault.index] ?? "");
      case "none":
        return "invalid";
      case "computed":
        throw this.#refused(
          "shard_key_not_constant",
          `default of shard key column "${name}" of table "${this.#table}" is no constant`,
          line,
          "Write the value into the data.",
        );
      default:
        return unreachable(byDefault);
    }
  }

  /** FORCE_NULL and FORCE_NOT_NULL (copyfromparse.c, NextCopyFrom). */
  #forced(
    { value, isQuoted }: KeyField,
    source: Extract<CopyKey["source"], { kind: "field" }>,
  ): Buffer | null {
    if (value === null) return source.isForcedNotNull ? this.#nullText : null;
    return isQuoted && source.isForcedNull && value.equals(this.#nullText) ? null : value;
  }

  #refused(id: ErrorId, message: string, line: number, hint?: string): SqlError {
    return new SqlError(id, message, { hint, context: `COPY ${this.#table}, line ${line}` });
  }
}
