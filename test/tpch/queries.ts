/** The 22 queries of TPC-H, with the parameters by which the specification validates answers. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Query {
  /** From 1 to 22, as the specification counts. */
  readonly number: number;
  /** What the specification calls it. */
  readonly name: string;
  readonly sql: string;
}

const NAMES = [
  "Pricing Summary Report",
  "Minimum Cost Supplier",
  "Shipping Priority",
  "Order Priority Checking",
  "Local Supplier Volume",
  "Forecasting Revenue Change",
  "Volume Shipping",
  "National Market Share",
  "Product Type Profit Measure",
  "Returned Item Reporting",
  "Important Stock Identification",
  "Shipping Modes and Order Priority",
  "Customer Distribution",
  "Promotion Effect",
  "Top Supplier",
  "Parts/Supplier Relationship",
  "Small-Quantity-Order Revenue",
  "Large Volume Customer",
  "Discounted Revenue",
  "Potential Part Promotion",
  "Suppliers Who Kept Orders Waiting",
  "Global Sales Opportunity",
];

export const QUERIES: readonly Query[] = NAMES.map((name, index) => {
  const file = `q${String(index + 1).padStart(2, "0")}.sql`;
  return {
    number: index + 1,
    name,
    sql: readFileSync(join(import.meta.dirname, "queries", file), "utf8").trim(),
  };
});

/** The tables, and the view of query 15, which the specification makes before it asks. */
export const SCHEMA = readFileSync(join(import.meta.dirname, "schema.sql"), "utf8");
