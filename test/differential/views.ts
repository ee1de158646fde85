/**
 * Views of the differential test: over one table, over a colocated join, over groups, and
 * over another view. They stand on the plain server and in the canonical schema alone.
 */
import type { ColumnModel, TableModel, TypeName } from "./model.ts";

interface ViewModel extends TableModel {
  /** What follows CREATE VIEW … AS. */
  readonly query: string;
}

function column(name: string, type: TypeName): ColumnModel {
  return { name, type, constraint: "", isOpaque: false };
}

function view(
  name: string,
  home: string,
  shardKey: readonly string[],
  order: readonly string[],
  columns: readonly ColumnModel[],
  query: string,
): ViewModel {
  return { name, home, shardKey, primaryKey: order, columns, constraints: [], query };
}

export const VIEWS: readonly ViewModel[] = [
  view(
    "active_users",
    "users",
    ["id"],
    ["id"],
    [column("id", "bigint"), column("name", "text"), column("country", "varchar(20)")],
    "SELECT id, name, country FROM users WHERE active",
  ),
  view(
    "user_orders",
    "users",
    ["user_id"],
    ["user_id", "id"],
    [
      column("user_id", "bigint"),
      column("id", "integer"),
      column("name", "text"),
      column("total", "numeric(14,2)"),
    ],
    "SELECT o.user_id, o.id, u.name, o.total FROM orders o JOIN users u ON u.id = o.user_id",
  ),
  view(
    "order_totals",
    "users",
    ["user_id"],
    ["user_id"],
    [column("user_id", "bigint"), column("orders", "bigint")],
    "SELECT user_id, count(*) AS orders FROM user_orders GROUP BY user_id",
  ),
  view(
    "balances",
    "accounts",
    ["account_id"],
    ["account_id", "entry"],
    [column("account_id", "integer"), column("owner", "text"), column("entry", "bigint")],
    "SELECT account_id, owner, entry FROM accounts LEFT JOIN ledger USING (account_id)",
  ),
  view(
    "busy_days",
    "days",
    ["day"],
    ["day"],
    [column("day", "date"), column("label", "text"), column("visits", "bigint")],
    "SELECT * FROM days WHERE visits > 0",
  ),
  view(
    "paid_invoices",
    "billing",
    [],
    ["id", "payment"],
    [column("id", "integer"), column("customer", "text"), column("payment", "integer")],
    "SELECT i.id, i.customer, p.id AS payment FROM invoices i JOIN payments p ON p.invoice = i.id",
  ),
];

/** CREATE VIEW of each, in an order in which they can be made. */
export function viewsSql(): string {
  return VIEWS.map(({ name, query }) => `CREATE VIEW ${name} AS ${query}`).join("; ");
}
