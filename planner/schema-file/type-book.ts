/** The types and collations of a schema file, and what a type name in it means. */
import type { Node, TypeName } from "@pgsql/types";
import type { CatalogCollation, CatalogType } from "../../shardmap/catalog.ts";
import { nameParts } from "../ast.ts";
import {
  BUILT_IN_TYPES,
  C_COLLATION_OID,
  COLLATABLE_TYPES,
  DEFAULT_COLLATION_OID,
} from "../built-in-types.ts";

export interface TypeUse {
  readonly typeOid: number;
  readonly typmod: number;
  readonly collationOid: number;
}

/** Apart from tables' OIDs, so that the two can be counted by themselves. */
const FIRST_TYPE_OID = 50_000;
const UNKNOWN_TYPE: TypeUse = { typeOid: 0, typmod: -1, collationOid: 0 };

export class TypeBook {
  readonly #schema: string;
  readonly #types = new Map<number, CatalogType>();
  /** By `schema.name`. */
  readonly #oids = new Map<string, number>();
  readonly #collations = new Map<string, number>([
    ["default", DEFAULT_COLLATION_OID],
    ["C", C_COLLATION_OID],
    ["POSIX", 951],
  ]);
  #nextOid = FIRST_TYPE_OID;

  constructor(schema: string) {
    this.#schema = schema;
    for (const [name, { oid, arrayOid, category }] of BUILT_IN_TYPES) {
      const collationOid = COLLATABLE_TYPES.has(name) ? DEFAULT_COLLATION_OID : 0;
      const base = { schema: "pg_catalog", baseOid: 0, labels: [], collationOid };
      const kind = category === "R" ? "range" : "base";
      this.#put(oid, { ...base, oid, name, kind, category, elementOid: 0 });
      this.#put(arrayOid, {
        ...base,
        oid: arrayOid,
        name: `_${name}`,
        kind: "base",
        category: "A",
        elementOid: oid,
      });
    }
  }

  /** Takes in CREATE TYPE and CREATE DOMAIN; any other statement is passed over. */
  add(node: Node): void {
    if ("CreateEnumStmt" in node) {
      const { typeName, vals } = node.CreateEnumStmt;
      this.#define(nameParts(typeName), { kind: "enum", category: "E", labels: nameParts(vals) });
    } else if ("CreateDomainStmt" in node) {
      const { domainname, typeName } = node.CreateDomainStmt;
      const base = typeName === undefined ? UNKNOWN_TYPE : this.use(typeName);
      const category = this.#types.get(base.typeOid)?.category ?? "U";
      this.#define(nameParts(domainname), {
        kind: "domain",
        category,
        baseOid: base.typeOid,
        collationOid: base.collationOid,
      });
    } else if ("CompositeTypeStmt" in node) {
      const { schemaname, relname } = node.CompositeTypeStmt.typevar ?? {};
      this.#define([...(schemaname === undefined ? [] : [schemaname]), relname ?? ""], {
        kind: "composite",
        category: "C",
      });
    }
  }

  use(type: TypeName): TypeUse {
    const names = nameParts(type.names);
    const name = names.at(-1) ?? "";
    const element = BUILT_IN_TYPES.get(name);
    const schemas = names.length > 1 ? [names[0] ?? ""] : ["pg_catalog", this.#schema];
    const oid = schemas
      .map((schema) => this.#oids.get(`${schema}.${name}`))
      .find((found) => found !== undefined);
    if (oid === undefined) return UNKNOWN_TYPE;
    const isArray = (type.arrayBounds?.length ?? 0) > 0;
    const typeOid = isArray
      ? (element?.arrayOid ?? this.#oids.get(`${this.#types.get(oid)?.schema}._${name}`) ?? 0)
      : oid;
    return {
      typeOid,
      typmod: typmodOf(name, type),
      collationOid: this.#types.get(typeOid)?.collationOid ?? 0,
    };
  }

  /** A collation's OID by name; one the book does not know gets an OID of its own. */
  collation(names: readonly string[]): number {
    const name = names.at(-1) ?? "";
    const known = this.#collations.get(name) ?? this.#nextOid++;
    this.#collations.set(name, known);
    return known;
  }

  types(): ReadonlyMap<number, CatalogType> {
    return this.#types;
  }

  collations(defaultIsByteOrder: boolean): ReadonlyMap<number, CatalogCollation> {
    return new Map(
      [...this.#collations].map(([name, oid]) => {
        const isByteOrder =
          oid === DEFAULT_COLLATION_OID ? defaultIsByteOrder : BYTE_ORDER_COLLATIONS.has(name);
        // CREATE COLLATION's options are not read, so an unknown one may call different strings equal.
        const isDeterministic = oid < FIRST_TYPE_OID || isByteOrder;
        return [oid, { oid, schema: "pg_catalog", name, isDeterministic, isByteOrder }];
      }),
    );
  }

  #define(
    names: readonly string[],
    type: Pick<CatalogType, "kind" | "category"> & Partial<CatalogType>,
  ): void {
    const name = names.at(-1) ?? "";
    const schema = names.length > 1 ? (names[0] ?? "") : this.#schema;
    const base = { schema, elementOid: 0, baseOid: 0, labels: [], collationOid: 0 };
    const oid = this.#nextOid++;
    this.#put(oid, { ...base, ...type, oid, name });
    const arrayOid = this.#nextOid++;
    this.#put(arrayOid, {
      ...base,
      oid: arrayOid,
      name: `_${name}`,
      kind: "base",
      category: "A",
      elementOid: oid,
    });
  }

  #put(oid: number, type: CatalogType): void {
    this.#types.set(oid, type);
    this.#oids.set(`${type.schema}.${type.name}`, oid);
  }
}

const BYTE_ORDER_COLLATIONS: ReadonlySet<string> = new Set([
  "C",
  "POSIX",
  "ucs_basic",
  "pg_c_utf8",
]);

/** As each type's typmodin packs it. */
function typmodOf(name: string, type: TypeName): number {
  const numbers = (type.typmods ?? []).map((node) =>
    "A_Const" in node ? (node.A_Const.ival?.ival ?? 0) : 0,
  );
  const [first, second = 0] = numbers;
  if (first === undefined) return -1;
  switch (name) {
    case "varchar":
    case "bpchar":
      return first + 4;
    case "numeric":
      return ((first << 16) | (second & 0x7ff)) + 4;
    default:
      return first;
  }
}
