/**
 * Values of made-up rows: of a column's type, from a row's number. Different numbers give different
 * values wherever the type has enough of them. As PostgreSQL reads texts of the type.
 */
import { createHash } from "node:crypto";
import type { Catalog, CatalogColumn, CatalogType } from "../../shardmap/catalog.ts";

export type ValueOf = (number: number) => string | null;

/** One row in so many has a value that PostgreSQL keeps out of line. */
const LARGE_EVERY = 41;
const LARGE = Array.from({ length: 400 }, (_, index) => hash(index)).join("");

/** Undefined where no value of the type is known. `isKey`: all numbers need values of their own, which an index has room for. */
export function valuesOf(
  catalog: Pick<Catalog, "types">,
  column: Pick<CatalogColumn, "typeOid" | "typmod">,
  isKey: boolean,
): ValueOf | undefined {
  const type = catalog.types.get(column.typeOid);
  if (type === undefined) return undefined;
  if (type.kind === "domain")
    return valuesOf(catalog, { typeOid: type.baseOid, typmod: column.typmod }, isKey);
  if (type.kind === "enum") {
    const { labels } = type;
    return labels.length === 0 ? undefined : (number) => labels[number % labels.length] ?? null;
  }
  if (type.schema !== "pg_catalog") return undefined;
  if (type.elementOid !== 0 && type.category === "A") return arrayOf(catalog, type);
  if (isText(type)) return textOf(lengthOf(type, column.typmod), isKey);
  return BY_TYPE[type.name];
}

function arrayOf(
  catalog: Pick<Catalog, "types">,
  { elementOid }: CatalogType,
): ValueOf | undefined {
  const element = valuesOf(catalog, { typeOid: elementOid, typmod: -1 }, true);
  if (element === undefined) return undefined;
  return (number) => {
    const items = [element(number), element(number + 1)];
    return `{${items.map((item) => (item === null ? "NULL" : JSON.stringify(item))).join(",")}}`;
  };
}

function isText({ name }: CatalogType): boolean {
  return name === "text" || name === "varchar" || name === "bpchar" || name === "name";
}

/** In characters; undefined where there is no limit. */
function lengthOf({ name }: CatalogType, typmod: number): number | undefined {
  if (name === "name") return 63;
  return typmod < 4 ? undefined : typmod - 4;
}

function textOf(length: number | undefined, isKey: boolean): ValueOf {
  return (number) => {
    const short = `r${number.toString(36)}`;
    if (length !== undefined) return short.slice(-length);
    if (isKey) return `row ${short}`;
    return number % LARGE_EVERY === 0 ? `${short} ${LARGE}` : `text of ${short}: ä, ', \\`;
  };
}

function hash(number: number): string {
  return createHash("md5").update(String(number)).digest("hex");
}

function day(number: number): string {
  return new Date(Date.UTC(2000, 0, 1) + (number % 2_000_000) * 86_400_000)
    .toISOString()
    .slice(0, 10);
}

function moment(number: number): string {
  return new Date(Date.UTC(1890, 0, 1) + number * 1_000).toISOString().slice(0, 19);
}

const BY_TYPE: Readonly<Record<string, ValueOf>> = {
  int2: (number) => String(number % 32_000),
  int4: String,
  int8: String,
  numeric: (number) => `${number % 1_000_000}`,
  float4: (number) => (number % 50 === 0 ? "NaN" : `${number % 1_000}.5`),
  float8: (number) => (number % 50 === 0 ? "-Infinity" : `${number}.25`),
  bool: (number) => (number % 2 === 0 ? "true" : "false"),
  uuid: (number) => hash(number).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
  bytea: (number) => `\\x${hash(number)}`,
  date: day,
  timestamp: moment,
  timestamptz: (number) => `${moment(number)}Z`,
  time: (number) => new Date((number % 86_400) * 1_000).toISOString().slice(11, 19),
  interval: (number) => `${number} seconds`,
  json: (number) => `{"b": 1.0, "a": ${number}}`,
  jsonb: (number) => `{"b": 1.0, "a": ${number}}`,
  inet: (number) => `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`,
  cidr: (number) => `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}/32`,
  bit: (number) => String(number % 2),
  varbit: (number) => (number % 1_024).toString(2),
  point: (number) => `(${number},1)`,
};
