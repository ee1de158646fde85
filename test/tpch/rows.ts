/**
 * The rows of the TPC-H tables, small and always the same: the value sets, keys, ranges
 * and dependencies of the specification's chapter 4.2, at a scale of its own.
 *
 * Words that the queries ask for are more frequent than dbgen's, so that each of the 22
 * queries finds rows among so few.
 */
import { Random } from "../differential/random.ts";

export interface TableRows {
  readonly table: string;
  /** Each row as the text between the parentheses of VALUES. */
  readonly rows: readonly string[];
}

/** About a two-hundredth of scale factor 1. */
const SUPPLIERS = 50;
const PARTS = 1_000;
const CUSTOMERS = 750;
const ORDERS = 4_000;
const SUPPLIERS_PER_PART = 4;

const REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
/** Name and region, in the order of their keys. */
const NATIONS: readonly (readonly [string, number])[] = [
  ["ALGERIA", 0],
  ["ARGENTINA", 1],
  ["BRAZIL", 1],
  ["CANADA", 1],
  ["EGYPT", 4],
  ["ETHIOPIA", 0],
  ["FRANCE", 3],
  ["GERMANY", 3],
  ["INDIA", 2],
  ["INDONESIA", 2],
  ["IRAN", 4],
  ["IRAQ", 4],
  ["JAPAN", 2],
  ["JORDAN", 4],
  ["KENYA", 0],
  ["MOROCCO", 0],
  ["MOZAMBIQUE", 0],
  ["PERU", 1],
  ["CHINA", 2],
  ["ROMANIA", 3],
  ["SAUDI ARABIA", 4],
  ["VIETNAM", 2],
  ["RUSSIA", 3],
  ["UNITED KINGDOM", 3],
  ["UNITED STATES", 1],
];
const SEGMENTS = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"];
const PRIORITIES = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
const INSTRUCTIONS = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
const MODES = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
const TYPES = [
  ["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"],
  ["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"],
  ["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"],
];
const CONTAINERS = [
  ["SM", "LG", "MED", "JUMBO", "WRAP"],
  ["CASE", "BOX", "BAG", "PKG", "PACK", "DRUM"],
];
/** The maker's digit comes first. */
const BRANDS = ["12", "23", "34", "45", "51"];
const COLORS = [
  "almond",
  "azure",
  "blush",
  "chiffon",
  "forest",
  "green",
  "ivory",
  "lemon",
  "navy",
  "plum",
];
const WORDS = [
  "furiously",
  "final",
  "deposits",
  "sleep",
  "special",
  "requests",
  "carefully",
  "ironic",
  "packages",
  "haggle",
];

const START = Date.UTC(1992, 0, 1);
/** Orders end 151 days before the last day, so that their lines can be received. */
const ORDER_DAYS = 2_405;
const CURRENT_DATE = "1995-06-17";

export function allRows(): readonly TableRows[] {
  const random = new Random(20_260);
  return [
    {
      table: "region",
      rows: REGIONS.map((name, key) => `${key}, '${name}', '${comment(random)}'`),
    },
    {
      table: "nation",
      rows: NATIONS.map(
        ([name, region], key) => `${key}, '${name}', ${region}, '${comment(random)}'`,
      ),
    },
    { table: "supplier", rows: keys(SUPPLIERS).map((key) => supplier(random, key)) },
    { table: "part", rows: keys(PARTS).map((key) => part(random, key)) },
    { table: "partsupp", rows: keys(PARTS).flatMap((key) => partSuppliers(random, key)) },
    { table: "customer", rows: keys(CUSTOMERS).map((key) => customer(random, key)) },
    ...ordersAndLines(random),
  ];
}

function keys(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

function numbered(prefix: string, key: number): string {
  return `${prefix}#${String(key).padStart(9, "0")}`;
}

function comment(random: Random): string {
  return Array.from({ length: random.integer(2, 5) }, () => random.pick(WORDS))
    .join(" ")
    .slice(0, 43);
}

function phone(random: Random, nation: number): string {
  const digits = (count: number): string =>
    String(random.integer(10 ** (count - 1), 10 ** count - 1));
  return `${nation + 10}-${digits(3)}-${digits(3)}-${digits(4)}`;
}

function money(random: Random, least: number, most: number): string {
  return (random.integer(least, most) / 100).toFixed(2);
}

function supplier(random: Random, key: number): string {
  // Every nation has suppliers.
  const nation = (key - 1) % NATIONS.length;
  const complaint = key % 17 === 0 ? " Customer sleep Complaints" : "";
  return `${key}, '${numbered("Supplier", key)}', 'street ${random.integer(1, 999)}', ${nation}, '${phone(random, nation)}', ${money(random, -99_999, 999_999)}, '${comment(random)}${complaint}'`;
}

function part(random: Random, key: number): string {
  const brand = random.pick(BRANDS);
  const name = random.shuffle(COLORS).slice(0, 5).join(" ");
  const type = TYPES.map((words) => random.pick(words)).join(" ");
  const container = CONTAINERS.map((words) => random.pick(words)).join(" ");
  return `${key}, '${name}', 'Manufacturer#${brand[0]}', 'Brand#${brand}', '${type}', ${random.integer(1, random.pick([15, 50]))}, '${container}', ${retailPrice(key)}, '${comment(random).slice(0, 22)}'`;
}

/** The specification's formula. */
function retailPrice(key: number): string {
  return ((90_000 + (Math.floor(key / 10) % 20_001) + 100 * (key % 1_000)) / 100).toFixed(2);
}

/** The specification's formula: which four suppliers have the part. */
function supplierOf(partKey: number, index: number): number {
  return (
    (((partKey + index * (SUPPLIERS / SUPPLIERS_PER_PART + Math.floor((partKey - 1) / SUPPLIERS))) %
      SUPPLIERS) |
      0) +
    1
  );
}

function partSuppliers(random: Random, key: number): string[] {
  const suppliers = new Set(keys(SUPPLIERS_PER_PART).map((index) => supplierOf(key, index - 1)));
  return [...suppliers].map(
    (supplierKey) =>
      `${key}, ${supplierKey}, ${random.integer(1, 9_999)}, ${money(random, 100, 100_000)}, '${comment(random)}'`,
  );
}

function customer(random: Random, key: number): string {
  const nation = random.integer(0, NATIONS.length - 1);
  return `${key}, '${numbered("Customer", key)}', 'street ${random.integer(1, 999)}', ${nation}, '${phone(random, nation)}', ${money(random, -99_999, 999_999)}, '${random.pick(SEGMENTS)}', '${comment(random)}'`;
}

function ordersAndLines(random: Random): TableRows[] {
  const orders: string[] = [];
  const lines: string[] = [];
  for (let index = 0; index < ORDERS; index++) {
    // Of 32 keys the first eight are used, as dbgen does.
    const key = Math.floor(index / 8) * 32 + (index % 8) + 1;
    const ordered = random.integer(0, ORDER_DAYS);
    // Now and then a large one, for query 18.
    const isLarge = index % 40 === 0;
    const written = keys(isLarge ? 7 : random.integer(1, 7)).map((number) =>
      lineOf(random, key, number, ordered, random.integer(isLarge ? 40 : 1, 50)),
    );
    lines.push(...written.map(({ sql }) => sql));
    const open = written.filter(({ status }) => status === "O").length;
    const status = open === 0 ? "F" : open === written.length ? "O" : "P";
    const total = written.reduce((sum, { cents }) => sum + cents, 0);
    orders.push(
      `${key}, ${customerOf(random)}, '${status}', ${(total / 100).toFixed(2)}, '${day(ordered)}', '${random.pick(PRIORITIES)}', '${numbered("Clerk", random.integer(1, 5))}', 0, '${comment(random)}'`,
    );
  }
  return [
    { table: "orders", rows: orders },
    { table: "lineitem", rows: lines },
  ];
}

/** A third of all customers order nothing. */
function customerOf(random: Random): number {
  const key = random.integer(1, CUSTOMERS);
  return key % 3 === 0 ? key - 1 : key;
}

function lineOf(
  random: Random,
  order: number,
  number: number,
  ordered: number,
  quantity: number,
): { sql: string; status: string; cents: number } {
  const partKey = random.integer(1, PARTS);
  const cents = Math.round(Number(retailPrice(partKey)) * 100) * quantity;
  const shipped = ordered + random.integer(1, 121);
  const received = shipped + random.integer(1, 30);
  const status = day(shipped) > CURRENT_DATE ? "O" : "F";
  const flag = day(received) <= CURRENT_DATE ? random.pick(["R", "A"]) : "N";
  const values = [
    order,
    partKey,
    supplierOf(partKey, random.integer(0, SUPPLIERS_PER_PART - 1)),
    number,
    quantity,
    (cents / 100).toFixed(2),
    (random.integer(0, 10) / 100).toFixed(2),
    (random.integer(0, 8) / 100).toFixed(2),
    `'${flag}'`,
    `'${status}'`,
    `'${day(shipped)}'`,
    `'${day(ordered + random.integer(30, 90))}'`,
    `'${day(received)}'`,
    `'${random.pick(INSTRUCTIONS)}'`,
    `'${random.pick(MODES)}'`,
    `'${comment(random)}'`,
  ];
  return { sql: values.join(", "), status, cents };
}

const DAY_MS = 86_400_000;

function day(sinceStart: number): string {
  return new Date(START + sinceStart * DAY_MS).toISOString().slice(0, 10);
}
