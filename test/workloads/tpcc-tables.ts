/** TPC-C's tables, spread by warehouse, and rows for a few of them: small enough to compare, whole in all that refers. */

const WAREHOUSES = 4;
export const DISTRICTS = 2;
const CUSTOMERS = 9;
const ITEMS = 20;
export const ORDERS = 6;
const LINES = 3;
/** Orders from here on are not delivered. */
export const NEW_ORDER_FIRST = 4;

export const SCHEMA = [
  `CREATE TABLE warehouse (w_id smallint PRIMARY KEY, w_name varchar(10), w_street_1 varchar(20), w_street_2 varchar(20),
    w_city varchar(20), w_state char(2), w_zip char(9), w_tax numeric(4, 4), w_ytd numeric(12, 2))`,
  `CREATE TABLE district (d_id smallint, d_w_id smallint NOT NULL REFERENCES warehouse, d_name varchar(10),
    d_street_1 varchar(20), d_street_2 varchar(20), d_city varchar(20), d_state char(2), d_zip char(9),
    d_tax numeric(4, 4), d_ytd numeric(12, 2), d_next_o_id integer, PRIMARY KEY (d_w_id, d_id))`,
  `CREATE TABLE customer (c_id integer, c_d_id smallint, c_w_id smallint, c_first varchar(16), c_middle char(2),
    c_last varchar(16), c_street_1 varchar(20), c_street_2 varchar(20), c_city varchar(20), c_state char(2), c_zip char(9),
    c_phone char(16), c_since timestamp, c_credit char(2), c_credit_lim numeric(12, 2), c_discount numeric(4, 4),
    c_balance numeric(12, 2), c_ytd_payment numeric(12, 2), c_payment_cnt smallint, c_delivery_cnt smallint, c_data text,
    PRIMARY KEY (c_w_id, c_d_id, c_id), FOREIGN KEY (c_w_id, c_d_id) REFERENCES district (d_w_id, d_id))`,
  `CREATE TABLE history (h_c_id integer, h_c_d_id smallint, h_c_w_id smallint, h_d_id smallint, h_w_id smallint,
    h_date timestamp, h_amount numeric(6, 2), h_data varchar(24),
    FOREIGN KEY (h_w_id, h_d_id) REFERENCES district (d_w_id, d_id))`,
  `CREATE TABLE orders (o_id integer, o_d_id smallint, o_w_id smallint, o_c_id integer, o_entry_d timestamp,
    o_carrier_id smallint, o_ol_cnt smallint, o_all_local smallint, PRIMARY KEY (o_w_id, o_d_id, o_id),
    FOREIGN KEY (o_w_id, o_d_id, o_c_id) REFERENCES customer (c_w_id, c_d_id, c_id))`,
  `CREATE TABLE new_order (no_o_id integer, no_d_id smallint, no_w_id smallint, PRIMARY KEY (no_w_id, no_d_id, no_o_id),
    FOREIGN KEY (no_w_id, no_d_id, no_o_id) REFERENCES orders (o_w_id, o_d_id, o_id))`,
  `CREATE TABLE item (i_id integer PRIMARY KEY, i_im_id integer, i_name varchar(24), i_price numeric(5, 2), i_data varchar(50))`,
  `CREATE TABLE stock (s_i_id integer REFERENCES item, s_w_id smallint REFERENCES warehouse, s_quantity smallint,
    s_dist_01 char(24), s_ytd numeric(8, 0), s_order_cnt smallint, s_remote_cnt smallint, s_data varchar(50),
    PRIMARY KEY (s_w_id, s_i_id))`,
  `CREATE TABLE order_line (ol_o_id integer, ol_d_id smallint, ol_w_id smallint, ol_number smallint, ol_i_id integer,
    ol_supply_w_id smallint, ol_delivery_d timestamp, ol_quantity smallint, ol_amount numeric(6, 2), ol_dist_info char(24),
    PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number), FOREIGN KEY (ol_w_id, ol_d_id, ol_o_id) REFERENCES orders (o_w_id, o_d_id, o_id))`,
  "CREATE INDEX customer_by_name ON customer (c_w_id, c_d_id, c_last, c_first)",
  "CREATE INDEX orders_by_customer ON orders (o_w_id, o_d_id, o_c_id, o_id)",
];

export const MAP = `colocations:
  warehouses:
    shard_key: smallint
    function: hash
    logical_shards: 16
    tables: { warehouse: w_id, district: d_w_id, customer: c_w_id, history: h_w_id, orders: o_w_id, new_order: no_w_id, stock: s_w_id, order_line: ol_w_id }
    placements:
      - { shards: 0-3, database: main }
      - { shards: 4-9, database: east }
      - { shards: 10-15, database: west }
reference_tables: [item]`;

/** 1 to `most`. */
export function count(most: number): number[] {
  return Array.from({ length: most }, (_, index) => index + 1);
}

export const MOMENT = "2024-01-01 10:00:00";

export function load(): string[] {
  const rows: Record<string, string[]> = {
    warehouse: [],
    district: [],
    customer: [],
    orders: [],
    new_order: [],
    item: [],
    stock: [],
    order_line: [],
  };
  for (const i of count(ITEMS))
    rows["item"]?.push(
      `(${i}, ${i * 7}, 'item ${i}', ${i}.50, '${i % 5 === 0 ? "ORIGINAL" : "data"}')`,
    );
  for (const w of count(WAREHOUSES)) {
    rows["warehouse"]?.push(
      `(${w}, 'ware ${w}', 'street', '', 'city', 'CA', '123411111', 0.0${w}, 300000.00)`,
    );
    for (const i of count(ITEMS))
      rows["stock"]?.push(`(${i}, ${w}, ${10 + i}, 'dist ${i}', 0, 0, 0, 'stock ${i}')`);
    for (const d of count(DISTRICTS)) {
      rows["district"]?.push(
        `(${d}, ${w}, 'dist ${d}', 'street', '', 'city', 'NY', '123411111', 0.1${d}, 30000.00, ${ORDERS + 1})`,
      );
      for (const c of count(CUSTOMERS))
        rows["customer"]?.push(
          `(${c}, ${d}, ${w}, 'first ${(c * 5) % 7}', 'OE', 'BAR${c % 3}', 'street', '', 'city', 'MI', '123411111', '0000', '${MOMENT}', '${c % 4 === 0 ? "BC" : "GC"}', 50000.00, 0.0${c}, -10.00, 10.00, 1, 0, 'about ${c}')`,
        );
      for (const o of count(ORDERS)) {
        const isNew = o >= NEW_ORDER_FIRST;
        rows["orders"]?.push(
          `(${o}, ${d}, ${w}, ${((o * 2) % CUSTOMERS) + 1}, '${MOMENT}', ${isNew ? "NULL" : o}, ${LINES}, 1)`,
        );
        if (isNew) rows["new_order"]?.push(`(${o}, ${d}, ${w})`);
        for (const l of count(LINES))
          rows["order_line"]?.push(
            `(${o}, ${d}, ${w}, ${l}, ${((o * l) % ITEMS) + 1}, ${w}, ${isNew ? "NULL" : `'${MOMENT}'`}, 5, ${isNew ? `${o}.25` : "0.00"}, 'dist info')`,
          );
      }
    }
  }
  return Object.entries(rows).map(
    ([table, values]) => `INSERT INTO ${table} VALUES ${values.join(", ")}`,
  );
}
