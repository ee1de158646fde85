/** The statements of made-up rows: one row each, every value a parameter. */
import { quoteIdentifier } from "../../base/sql-quoting.ts";
import type { TableRecipe } from "./recipes.ts";

export interface Statement {
  readonly text: string;
  readonly values: readonly (string | null)[];
}

/** Into the canonical table. */
export function insertOf(recipe: TableRecipe, number: number, stamp: number): Statement {
  const names = recipe.columns.map(({ name }) => name);
  const values = recipe.columns.map(({ valueOf }) => valueOf(number));
  if (recipe.stamp !== undefined) {
    names.push(recipe.stamp);
    values.push(String(stamp));
  }
  const list = names.map(quoteIdentifier).join(", ");
  const parameters = values.map((_, index) => `$${index + 1}`).join(", ");
  return {
    text: `INSERT INTO ${quoteIdentifier(recipe.table)} (${list}) VALUES (${parameters})`,
    values,
  };
}

/** Undefined where the table has no stamp: its rows are made and deleted alone. */
export function updateOf(
  recipe: TableRecipe,
  number: number,
  stamp: number,
  place = quoteIdentifier(recipe.table),
): Statement | undefined {
  if (recipe.stamp === undefined) return undefined;
  const { where, values } = condition(recipe, number, 1);
  return {
    text: `UPDATE ${place} SET ${quoteIdentifier(recipe.stamp)} = $1 WHERE ${where}`,
    values: [String(stamp), ...values],
  };
}

export function deleteOf(recipe: TableRecipe, number: number): Statement {
  const { where, values } = condition(recipe, number, 0);
  return { text: `DELETE FROM ${quoteIdentifier(recipe.table)} WHERE ${where}`, values };
}

/** Its stamp, or 0 where it has none. */
export function selectOf(
  recipe: TableRecipe,
  number: number,
  { place = quoteIdentifier(recipe.table), isLocked = false } = {},
): Statement {
  const { where, values } = condition(recipe, number, 0);
  return {
    text: `SELECT ${stampColumn(recipe)} AS stamp FROM ${place} WHERE ${where}${isLocked ? " FOR UPDATE" : ""}`,
    values,
  };
}

/** Of all these numbers the rows that one placement has: `number` and `stamp`. */
export function selectAllOf(
  recipe: TableRecipe,
  numbers: readonly number[],
  place: string,
): { readonly text: string; readonly values: readonly (readonly (string | null)[])[] } {
  const names = recipe.key.map((_, index) => `k${index}`);
  const joined = recipe.key.map(
    ({ name, type }, index) => `t.${quoteIdentifier(name)} = k.k${index}::${type}`,
  );
  const lists = names.map((_, index) => `$${index + 1}::text[]`);
  return {
    text: `SELECT k.number, ${stampColumn(recipe)} AS stamp FROM ${place} t JOIN unnest(${lists.join(", ")}, $${names.length + 1}::text[]) k (${names.join(", ")}, number) ON ${joined.join(" AND ")}`,
    values: [...recipe.key.map(({ valueOf }) => numbers.map(valueOf)), numbers.map(String)],
  };
}

export function stampColumn({ stamp }: TableRecipe): string {
  return stamp === undefined ? "'0'::text" : `${quoteIdentifier(stamp)}::text`;
}

function condition(
  { key }: TableRecipe,
  number: number,
  before: number,
): { readonly where: string; readonly values: readonly (string | null)[] } {
  return {
    where: key
      .map(({ name }, index) => `${quoteIdentifier(name)} = $${before + index + 1}`)
      .join(" AND "),
    values: key.map(({ valueOf }) => valueOf(number)),
  };
}
