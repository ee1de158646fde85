/**
 * One database's OIDs in the catalog database's terms and back. OIDs of user-defined types
 * and tables are drawn by each server for itself; clients know those of the catalog
 * database. A table of a placement is shown as its canonical table, with the canonical
 * table's column numbers.
 *
 * Translations are snapshots: they hold until types or tables change.
 */
import type { DatabaseName } from "../../base/ids.ts";
import { SqlError } from "../../base/sql-error.ts";
import type { CatalogType } from "../../shardmap/catalog.ts";
import { FIXED_OID_MAX, hasEmbeddedOids, patchValue } from "./oid-patch.ts";
import type { TypeShape, ValueTypes } from "./oid-patch.ts";

/** Types of one database, with what its binary values are made of. */
export interface DatabaseTypes {
  readonly byOid: ReadonlyMap<number, CatalogType>;
  /** Of ranges and multiranges: the type of their bounds. */
  readonly rangeSubtypes: ReadonlyMap<number, number>;
}

export interface CanonicalRelation {
  readonly oid: number;
  /** The canonical column's number by the placement's. */
  readonly columnNumbers: ReadonlyMap<number, number>;
}

export interface OidTables {
  readonly database: DatabaseName;
  /** The catalog database itself: what is not known of it yet, or to one session alone, has the OID it has. */
  readonly isCatalog: boolean;
  readonly databaseTypes: DatabaseTypes;
  readonly catalogTypes: ReadonlyMap<number, CatalogType>;
  /** Database OID to catalog OID, of every type both have above FIXED_OID_MAX. */
  readonly toCatalog: ReadonlyMap<number, number>;
  readonly fromCatalog: ReadonlyMap<number, number>;
  readonly relations: ReadonlyMap<number, CanonicalRelation>;
}

/** Of a RowDescription's column what is translated, and what decides whether its values are. */
export interface ColumnOids {
  readonly typeOid: number;
  /** 0 where the column is an expression, as its number is. */
  readonly tableOid: number;
  readonly columnNumber: number;
  readonly format: "text" | "binary";
}

/** Back-to-back DataRow frames, as in proxy/execution/shard-rows.ts. */
export interface RowRun {
  readonly bytes: Buffer;
  readonly count: number;
}

/** Relations below belong to the system and are the same in all databases of one version. */
const FIRST_USER_OID = 16_384;

export class OidTranslator {
  readonly #tables: OidTables;
  readonly #toCatalog: ValueTypes;

  constructor(tables: OidTables) {
    this.#tables = tables;
    this.#toCatalog = {
      shapeOf: (oid) => shapeOf(oid, tables.databaseTypes),
      translate: (oid) => this.typeToCatalog(oid),
    };
  }

  /** A server's columns as the client is to see them. Throws `type_not_translatable`. */
  columns<Column extends ColumnOids>(columns: readonly Column[]): readonly Column[] {
    return columns.map((column) => {
      const { tableOid, columnNumber } = this.#origin(column);
      return { ...column, typeOid: this.typeToCatalog(column.typeOid), tableOid, columnNumber };
    });
  }

  /**
   * Parameter types the client names, in this database's OIDs. Throws `type_not_translatable`.
   * OIDs inside binary parameters need none: array_recv and record_recv compare them only
   * where both sides are built-in types.
   */
  parameterTypes(types: readonly number[]): readonly number[] {
    return types.map((oid) => this.typeFromCatalog(oid));
  }

  typeToCatalog(oid: number): number {
    if (oid <= FIXED_OID_MAX) return oid;
    const translated = this.#tables.toCatalog.get(oid);
    if (translated !== undefined) return translated;
    const { database, databaseTypes, isCatalog } = this.#tables;
    if (isCatalog) return oid;
    throw untranslatable(
      `type ${nameOf(oid, databaseTypes.byOid)} of database "${database}" does not exist in the catalog database`,
    );
  }

  typeFromCatalog(oid: number): number {
    if (oid <= FIXED_OID_MAX) return oid;
    const translated = this.#tables.fromCatalog.get(oid);
    if (translated !== undefined) return translated;
    const { database, catalogTypes, isCatalog } = this.#tables;
    if (isCatalog) return oid;
    throw untranslatable(
      `type ${nameOf(oid, catalogTypes)} does not exist in database "${database}"`,
    );
  }

  /** Whether binary values of this type, in the database's OIDs, carry OIDs themselves. */
  hasEmbeddedOids(typeOid: number): boolean {
    return hasEmbeddedOids(typeOid, this.#toCatalog);
  }

  /**
   * What must be done to rows of these columns (the server's own, untranslated) before the
   * client may read them: undefined where nothing is, which is the usual case. The result's
   * bytes are a copy.
   */
  rowPatch(columns: readonly ColumnOids[]): ((run: RowRun) => RowRun) | undefined {
    const patched = columns.map(
      ({ typeOid, format }) => format === "binary" && this.hasEmbeddedOids(typeOid),
    );
    if (!patched.includes(true)) return undefined;
    return ({ bytes, count }) => {
      const copy = Buffer.from(bytes);
      let start = 0;
      for (let row = 0; row < count; row += 1)
        start = this.#patchRow(copy, start, columns, patched);
      return { bytes: copy, count };
    };
  }

  /** A table that clients cannot name in the catalog database is none to them. */
  #origin({ tableOid, columnNumber }: ColumnOids): {
    readonly tableOid: number;
    readonly columnNumber: number;
  } {
    if (tableOid < FIRST_USER_OID) return { tableOid, columnNumber };
    const relation = this.#tables.relations.get(tableOid);
    if (relation === undefined && this.#tables.isCatalog) return { tableOid, columnNumber };
    const number = relation?.columnNumbers.get(columnNumber);
    if (relation === undefined || number === undefined) return { tableOid: 0, columnNumber: 0 };
    return { tableOid: relation.oid, columnNumber: number };
  }

  /** Gives where the next row begins. */
  #patchRow(
    bytes: Buffer,
    start: number,
    columns: readonly ColumnOids[],
    patched: readonly boolean[],
  ): number {
    let offset = start + FRAME_HEADER_BYTES + COLUMN_COUNT_BYTES;
    for (const [index, { typeOid }] of columns.entries()) {
      const length = bytes.readInt32BE(offset);
      offset += 4;
      if (length < 0) continue;
      if (patched[index] === true) {
        patchValue(bytes, offset, offset + length, typeOid, this.#toCatalog);
      }
      offset += length;
    }
    return offset;
  }
}

const FRAME_HEADER_BYTES = 5;
const COLUMN_COUNT_BYTES = 2;

const RECORD_OID = 2249;
const RECORD_ARRAY_OID = 2287;

function shapeOf(oid: number, types: DatabaseTypes): TypeShape {
  if (oid === RECORD_OID) return { kind: "record" };
  if (oid === RECORD_ARRAY_OID) return { kind: "array", elementOid: RECORD_OID };
  const type = types.byOid.get(oid);
  if (type === undefined) return { kind: "plain" };
  if (type.elementOid !== 0) return { kind: "array", elementOid: type.elementOid };
  switch (type.kind) {
    case "composite":
      return { kind: "record" };
    case "domain":
      return shapeOf(type.baseOid, types);
    case "range":
    case "multirange": {
      const subtypeOid = types.rangeSubtypes.get(oid);
      return subtypeOid === undefined ? { kind: "plain" } : { kind: "range", subtypeOid };
    }
    default:
      return { kind: "plain" };
  }
}

function nameOf(oid: number, types: ReadonlyMap<number, CatalogType>): string {
  const type = types.get(oid);
  return type === undefined ? `with OID ${oid}` : `"${type.schema}.${type.name}"`;
}

function untranslatable(message: string): SqlError {
  return new SqlError("type_not_translatable", message);
}
