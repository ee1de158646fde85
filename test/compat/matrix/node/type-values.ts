/** Values for the columns of every_type, as PostgreSQL itself writes them with its default settings. */

export const TYPE_VALUES: Readonly<Record<string, readonly [string, string]>> = {
  a_boolean: ["t", "f"],
  a_smallint: ["-32768", "32767"],
  an_integer: ["-2147483648", "2147483647"],
  a_bigint: ["-9223372036854775808", "9223372036854775807"],
  a_numeric: ["-12345678901234567890.123456789", "NaN"],
  a_real: ["1.5", "-Infinity"],
  a_double: ["0.1", "1e+300"],
  a_text: ["", "tab\tquote'back\\slash\nline \u{1F418}"],
  a_varchar: ["twenty characters...", "ü"],
  a_char: ["ab   ", "abcde"],
  a_bytea: ["\\x", "\\x00ff5c27"],
  a_date: ["2024-02-29", "infinity"],
  a_time: ["00:00:00", "23:59:59.999999"],
  a_timetz: ["12:00:00+00", "23:59:59-11:30"],
  a_timestamp: ["2024-02-29 12:34:56.789", "-infinity"],
  a_timestamptz: ["2024-02-29 12:34:56.789+00", "0044-03-15 00:00:00+00 BC"],
  an_interval: ["1 year 2 mons 3 days 04:05:06.789", "-00:00:01"],
  a_uuid: ["00000000-0000-0000-0000-000000000000", "c0103ade-0000-4000-8000-ffffffffffff"],
  a_json: ['{"b": 1,  "a": [null]}', "null"],
  a_jsonb: ['{"a": [null], "b": 1}', '"text"'],
  integers: ["{1,NULL,-3}", "{}"],
  texts: ['{a,"b c",NULL,"quo\\"te"}', "{{a,b},{c,d}}"],
  an_inet: ["10.0.0.1/8", "::1"],
  a_cidr: ["10.0.0.0/8", "2001:db8::/32"],
  a_macaddr: ["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"],
  a_bit: ["00000000", "10101010"],
  a_varbit: ["", "101"],
  a_point: ["(1.5,-2)", "(0,0)"],
  an_int4range: ["[1,10)", "empty"],
  a_tstzrange: ['["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")', "(,)"],
  an_xml: ["<a>b</a>", '<c d="e"/>'],
  a_money: ["$1,234.56", "-$0.01"],
  a_mood: ["sad", "happy"],
  a_posint: ["1", "2147483647"],
  a_comp: ['(1,"a,b")', "(,)"],
};

export const TYPE_COLUMNS: readonly string[] = ["id", ...Object.keys(TYPE_VALUES)];

/** By id: rows of first values, of second ones and of NULLs, over all placements. */
export function typeRows(): (string | null)[][] {
  return Array.from({ length: 12 }, (_, index) => [
    String(index + 1),
    ...Object.values(TYPE_VALUES).map((pair) => pair[index % 3] ?? null),
  ]);
}

/** By row as `typeRows`: what a cast to text gives, which differs from the types' own output here and there. */
export function castTypeRows(): (string | null)[][] {
  return typeRows().map((row) =>
    row.map((value, index) => (value === null ? null : castText(TYPE_COLUMNS[index], value))),
  );
}

function castText(column: string | undefined, value: string): string {
  switch (column) {
    case "a_boolean":
      return value === "t" ? "true" : "false";
    case "a_char":
      return value.trimEnd();
    case "an_inet":
      return value.includes("/") ? value : `${value}/128`;
    default:
      return value;
  }
}

export const INSERT_TYPES = `INSERT INTO every_type (${TYPE_COLUMNS.join(", ")}) VALUES (${TYPE_COLUMNS.map(
  (_, index) => `$${index + 1}`,
).join(", ")})`;

export const SELECT_TYPES = `SELECT ${TYPE_COLUMNS.join(", ")} FROM every_type ORDER BY id`;

const SEND_FUNCTIONS: Readonly<Record<string, string>> = {
  id: "int8send",
  a_boolean: "boolsend",
  a_smallint: "int2send",
  an_integer: "int4send",
  a_bigint: "int8send",
  a_numeric: "numeric_send",
  a_real: "float4send",
  a_double: "float8send",
  a_text: "textsend",
  a_varchar: "varcharsend",
  a_char: "bpcharsend",
  a_bytea: "byteasend",
  a_date: "date_send",
  a_time: "time_send",
  a_timetz: "timetz_send",
  a_timestamp: "timestamp_send",
  a_timestamptz: "timestamptz_send",
  an_interval: "interval_send",
  a_uuid: "uuid_send",
  a_json: "json_send",
  a_jsonb: "jsonb_send",
  integers: "array_send",
  texts: "array_send",
  an_inet: "inet_send",
  a_cidr: "cidr_send",
  a_macaddr: "macaddr_send",
  a_bit: "bit_send",
  a_varbit: "varbit_send",
  a_point: "point_send",
  an_int4range: "range_send",
  a_tstzrange: "range_send",
  an_xml: "xml_send",
  a_money: "cash_send",
  a_mood: "enum_send",
  a_posint: "int4send",
  a_comp: "record_send",
};

/** PostgreSQL's own: what gives the bytes of a column's value in binary format. */
export function sendFunction(column: string): string {
  const name = SEND_FUNCTIONS[column];
  if (name === undefined) throw new RangeError(`every_type has no column ${column}`);
  return name;
}
