/**
 * PostgreSQL's built-in types by name, with the OIDs of pg_type.dat, which are the same in
 * every server: what a schema file can be planned with when no server is there to ask.
 */

export interface BuiltInType {
  readonly oid: number;
  readonly arrayOid: number;
  /** pg_type.typcategory. */
  readonly category: string;
}

/** name, oid, array's oid, category */
const ROWS: readonly (readonly [string, number, number, string])[] = [
  ["bool", 16, 1000, "B"],
  ["bytea", 17, 1001, "U"],
  ["char", 18, 1002, "Z"],
  ["name", 19, 1003, "S"],
  ["int8", 20, 1016, "N"],
  ["int2", 21, 1005, "N"],
  ["int4", 23, 1007, "N"],
  ["regproc", 24, 1008, "N"],
  ["text", 25, 1009, "S"],
  ["oid", 26, 1028, "N"],
  ["json", 114, 199, "U"],
  ["xml", 142, 143, "U"],
  ["point", 600, 1017, "G"],
  ["box", 603, 1020, "G"],
  ["polygon", 604, 1027, "G"],
  ["cidr", 650, 651, "I"],
  ["float4", 700, 1021, "N"],
  ["float8", 701, 1022, "N"],
  ["circle", 718, 719, "G"],
  ["macaddr", 829, 1040, "U"],
  ["inet", 869, 1041, "I"],
  ["money", 790, 791, "N"],
  ["bpchar", 1042, 1014, "S"],
  ["varchar", 1043, 1015, "S"],
  ["date", 1082, 1182, "D"],
  ["time", 1083, 1183, "D"],
  ["timestamp", 1114, 1115, "D"],
  ["timestamptz", 1184, 1185, "D"],
  ["interval", 1186, 1187, "T"],
  ["timetz", 1266, 1270, "D"],
  ["bit", 1560, 1561, "V"],
  ["varbit", 1562, 1563, "V"],
  ["numeric", 1700, 1231, "N"],
  ["regclass", 2205, 2210, "N"],
  ["uuid", 2950, 2951, "U"],
  ["tsvector", 3614, 3643, "U"],
  ["tsquery", 3615, 3645, "U"],
  ["jsonb", 3802, 3807, "U"],
  ["int4range", 3904, 3905, "R"],
  ["numrange", 3906, 3907, "R"],
  ["tsrange", 3908, 3909, "R"],
  ["tstzrange", 3910, 3911, "R"],
  ["daterange", 3912, 3913, "R"],
  ["int8range", 3926, 3927, "R"],
];

export const BUILT_IN_TYPES: ReadonlyMap<string, BuiltInType> = new Map(
  ROWS.map(([name, oid, arrayOid, category]) => [name, { oid, arrayOid, category }]),
);

/** Types whose values have a collation; they begin with the database's default one, but for `name`. */
export const COLLATABLE_TYPES: ReadonlySet<string> = new Set(["text", "varchar", "bpchar", "name"]);

/** serial and its kin: an integer column with a sequence of its own. */
export const SERIAL_TYPES: ReadonlyMap<string, string> = new Map([
  ["serial", "int4"],
  ["serial4", "int4"],
  ["bigserial", "int8"],
  ["serial8", "int8"],
  ["smallserial", "int2"],
  ["serial2", "int2"],
]);

export const DEFAULT_COLLATION_OID = 100;
export const C_COLLATION_OID = 950;
