/**
 * TPC-C: the statements of the specification's sample programs (appendix A), every table
 * sharded by its warehouse, items a reference table. Host variables are parameters, and a
 * cursor is its query.
 */
import { several, single } from "./workload.ts";
import type { Call, Transaction, Workload } from "./workload.ts";
import {
  count,
  DISTRICTS,
  MAP,
  MOMENT,
  NEW_ORDER_FIRST,
  ORDERS,
  SCHEMA,
  load,
} from "./tpcc-tables.ts";

/** One line: the item, its stock at the warehouse that supplies it, and the line itself. */
function orderedLine(
  w: number,
  supply: number,
  d: number,
  order: number,
  number: number,
  item: number,
): Call[] {
  return [
    single("SELECT i_price, i_name, i_data FROM item WHERE i_id = $1", item),
    single(
      "SELECT s_quantity, s_data, s_dist_01 FROM stock WHERE s_i_id = $1 AND s_w_id = $2 FOR UPDATE",
      item,
      supply,
    ),
    single(
      "UPDATE stock SET s_quantity = $1, s_ytd = s_ytd + $2, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + $3 WHERE s_i_id = $4 AND s_w_id = $5",
      20 + number,
      3,
      supply === w ? 0 : 1,
      item,
      supply,
    ),
    single(
      "INSERT INTO order_line (ol_o_id, ol_d_id, ol_w_id, ol_number, ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_dist_info) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
      order,
      d,
      w,
      number,
      item,
      supply,
      3,
      "10.50",
      "dist info",
    ),
  ];
}

/** `supplies`: the warehouse of each line; another than `w` is a remote one, as of one line in a hundred. */
function newOrder(
  name: string,
  w: number,
  d: number,
  customer: number,
  supplies: readonly number[],
): Transaction {
  const order = ORDERS + 1;
  return {
    name,
    statements: [
      single(
        "SELECT c_discount, c_last, c_credit, w_tax FROM customer, warehouse WHERE w_id = $1 AND c_w_id = w_id AND c_d_id = $2 AND c_id = $3",
        w,
        d,
        customer,
      ),
      single(
        "SELECT d_next_o_id, d_tax FROM district WHERE d_id = $1 AND d_w_id = $2 FOR UPDATE",
        d,
        w,
      ),
      single(
        "UPDATE district SET d_next_o_id = $1 + 1 WHERE d_id = $2 AND d_w_id = $3",
        order,
        d,
        w,
      ),
      single(
        "INSERT INTO orders (o_id, o_d_id, o_w_id, o_c_id, o_entry_d, o_ol_cnt, o_all_local) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        order,
        d,
        w,
        customer,
        MOMENT,
        supplies.length,
        supplies.every((supply) => supply === w) ? 1 : 0,
      ),
      single("INSERT INTO new_order (no_o_id, no_d_id, no_w_id) VALUES ($1, $2, $3)", order, d, w),
      ...supplies.flatMap((supply, index) =>
        orderedLine(w, supply, d, order, index + 1, 2 * index + 1),
      ),
    ],
  };
}

/** `home`: the customer's warehouse, another than `w` for one payment in seven. */
function payment(
  name: string,
  w: number,
  d: number,
  home: number,
  customer: number | string,
): Transaction {
  const id = typeof customer === "number" ? customer : 4;
  return {
    name,
    statements: [
      single("UPDATE warehouse SET w_ytd = w_ytd + $1 WHERE w_id = $2", "120.75", w),
      single(
        "SELECT w_street_1, w_street_2, w_city, w_state, w_zip, w_name FROM warehouse WHERE w_id = $1",
        w,
      ),
      single(
        "UPDATE district SET d_ytd = d_ytd + $1 WHERE d_w_id = $2 AND d_id = $3",
        "120.75",
        w,
        d,
      ),
      single(
        "SELECT d_street_1, d_street_2, d_city, d_state, d_zip, d_name FROM district WHERE d_w_id = $1 AND d_id = $2",
        w,
        d,
      ),
      ...(typeof customer === "number" ? [] : customersByName(home, d, customer)),
      single(
        "SELECT c_first, c_middle, c_last, c_street_1, c_city, c_phone, c_credit, c_credit_lim, c_discount, c_balance, c_since FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3 FOR UPDATE",
        home,
        d,
        id,
      ),
      single(
        "SELECT c_data FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3",
        home,
        d,
        id,
      ),
      single(
        "UPDATE customer SET c_balance = c_balance - $1, c_ytd_payment = c_ytd_payment + $1, c_payment_cnt = c_payment_cnt + 1, c_data = left($2 || c_data, 500) WHERE c_w_id = $3 AND c_d_id = $4 AND c_id = $5",
        "120.75",
        `${id} ${d} ${home} | `,
        home,
        d,
        id,
      ),
      single(
        "INSERT INTO history (h_c_d_id, h_c_w_id, h_c_id, h_d_id, h_w_id, h_date, h_amount, h_data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        d,
        home,
        id,
        d,
        w,
        MOMENT,
        "120.75",
        "ware 1    dist 1",
      ),
    ],
  };
}

/** How a payment finds a customer of whom the last name is given: the middle one by first name. */
function customersByName(w: number, d: number, last: string): readonly Call[] {
  return [
    single(
      "SELECT count(c_id) FROM customer WHERE c_last = $1 AND c_d_id = $2 AND c_w_id = $3",
      last,
      d,
      w,
    ),
    single(
      "SELECT c_first, c_middle, c_id, c_street_1, c_street_2, c_city, c_state, c_zip, c_phone, c_credit, c_credit_lim, c_discount, c_balance, c_since FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3 ORDER BY c_first, c_id",
      w,
      d,
      last,
    ),
  ];
}

function orderStatus(w: number, d: number, customer: number): Transaction {
  return {
    name: "order-status",
    statements: [
      single(
        "SELECT count(c_id) FROM customer WHERE c_last = $1 AND c_d_id = $2 AND c_w_id = $3",
        "BAR1",
        d,
        w,
      ),
      single(
        "SELECT c_balance, c_first, c_middle, c_id FROM customer WHERE c_last = $1 AND c_d_id = $2 AND c_w_id = $3 ORDER BY c_first, c_id",
        "BAR1",
        d,
        w,
      ),
      single(
        "SELECT c_balance, c_first, c_middle, c_last FROM customer WHERE c_id = $1 AND c_d_id = $2 AND c_w_id = $3",
        customer,
        d,
        w,
      ),
      single(
        "SELECT o_id, o_carrier_id, o_entry_d FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_c_id = $3 ORDER BY o_id DESC LIMIT 1",
        w,
        d,
        customer,
      ),
      single(
        "SELECT o_id, o_entry_d, o_carrier_id FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_id = (SELECT max(o_id) FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_c_id = $3)",
        w,
        d,
        customer,
      ),
      single(
        "SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount, ol_delivery_d FROM order_line WHERE ol_o_id = $1 AND ol_d_id = $2 AND ol_w_id = $3 ORDER BY ol_number",
        2,
        d,
        w,
      ),
    ],
  };
}

function delivery(w: number): Transaction {
  const statements = count(DISTRICTS).flatMap((d): Call[] => [
    single(
      "SELECT no_o_id FROM new_order WHERE no_d_id = $1 AND no_w_id = $2 ORDER BY no_o_id ASC LIMIT 1 FOR UPDATE",
      d,
      w,
    ),
    single("SELECT min(no_o_id) FROM new_order WHERE no_d_id = $1 AND no_w_id = $2", d, w),
    single(
      "DELETE FROM new_order WHERE no_o_id = $1 AND no_d_id = $2 AND no_w_id = $3",
      NEW_ORDER_FIRST,
      d,
      w,
    ),
    single(
      "SELECT o_c_id FROM orders WHERE o_id = $1 AND o_d_id = $2 AND o_w_id = $3",
      NEW_ORDER_FIRST,
      d,
      w,
    ),
    single(
      "UPDATE orders SET o_carrier_id = $1 WHERE o_id = $2 AND o_d_id = $3 AND o_w_id = $4",
      7,
      NEW_ORDER_FIRST,
      d,
      w,
    ),
    single(
      "UPDATE order_line SET ol_delivery_d = $1 WHERE ol_o_id = $2 AND ol_d_id = $3 AND ol_w_id = $4",
      MOMENT,
      NEW_ORDER_FIRST,
      d,
      w,
    ),
    single(
      "SELECT sum(ol_amount) FROM order_line WHERE ol_o_id = $1 AND ol_d_id = $2 AND ol_w_id = $3",
      NEW_ORDER_FIRST,
      d,
      w,
    ),
    single(
      "UPDATE customer SET c_balance = c_balance + $1, c_delivery_cnt = c_delivery_cnt + 1 WHERE c_id = $2 AND c_d_id = $3 AND c_w_id = $4",
      "12.75",
      9,
      d,
      w,
    ),
  ]);
  return { name: "delivery", statements };
}

function stockLevel(w: number, d: number): Transaction {
  return {
    name: "stock-level",
    statements: [
      single("SELECT d_next_o_id FROM district WHERE d_w_id = $1 AND d_id = $2", w, d),
      single(
        "SELECT count(DISTINCT s_i_id) FROM order_line, stock WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id < $3 AND ol_o_id >= $3 - 20 AND s_w_id = $1 AND s_i_id = ol_i_id AND s_quantity < $4",
        w,
        d,
        ORDERS + 1,
        20,
      ),
    ],
  };
}

/** The specification's consistency conditions 1 to 4 (clause 3.3.2), over all warehouses. */
const consistency: Transaction = {
  name: "consistency conditions",
  statements: [
    several(
      "SELECT w_id, w_ytd - sum(d_ytd) FROM warehouse, district WHERE w_id = d_w_id GROUP BY w_id, w_ytd ORDER BY w_id",
    ),
    several(
      "SELECT d_w_id, d_id, d_next_o_id - 1, (SELECT max(o_id) FROM orders WHERE o_w_id = d_w_id AND o_d_id = d_id) FROM district ORDER BY d_w_id, d_id",
    ),
    several(
      "SELECT no_w_id, no_d_id, max(no_o_id) - min(no_o_id) + 1 - count(*) FROM new_order GROUP BY no_w_id, no_d_id ORDER BY no_w_id, no_d_id",
    ),
    several(
      "SELECT o_w_id, o_d_id, sum(o_ol_cnt) - (SELECT count(*) FROM order_line WHERE ol_w_id = o_w_id AND ol_d_id = o_d_id) FROM orders GROUP BY o_w_id, o_d_id ORDER BY 1, 2",
    ),
  ],
};

export const TPCC: Workload = {
  name: "TPC-C",
  schema: SCHEMA,
  map: MAP,
  load: load(),
  transactions: [
    newOrder("new-order", 1, 1, 3, [1, 1, 1]),
    newOrder("new-order with a remote item", 2, 2, 5, [2, 3, 2]),
    payment("payment", 3, 1, 3, 2),
    payment("payment by last name", 1, 2, 1, "BAR1"),
    payment("payment of another warehouse's customer", 4, 1, 2, "BAR2"),
    orderStatus(2, 1, 5),
    delivery(3),
    stockLevel(4, 2),
    consistency,
  ],
};
