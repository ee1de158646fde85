/**
 * The CommandComplete tag of a statement that several placements ran.
 * Protocol manual, "Message Formats", CommandComplete: the rows are the tag's last number.
 */
import { invariant } from "../../../base/invariant.ts";
import { SqlError } from "../../../base/sql-error.ts";
import type { Gather } from "../../../planner/logical-plan.ts";

/**
 * `agree`: each database did the same, so the tags must be equal. Otherwise each placement
 * did its part, of an UPDATE or of an INSERT: "UPDATE 3" and "UPDATE 4" are "UPDATE 7".
 */
export function combineCommandTags(gather: Gather["kind"], tags: readonly string[]): string {
  const [first] = tags;
  invariant(first !== undefined, "a statement has at least one placement's tag");
  return gather === "agree" ? agreeingTag(first, tags) : addedTag(tags);
}

function agreeingTag(first: string, tags: readonly string[]): string {
  const other = tags.find((tag) => tag !== first);
  if (other === undefined) return first;
  throw new SqlError(
    "reference_copies_differ",
    `databases disagree on a reference table: one answered ${first}, another ${other}`,
  );
}

function addedTag(tags: readonly string[]): string {
  let command: string | undefined;
  let total = 0n;
  for (const tag of tags) {
    const match = /^(.* )(\d+)$/.exec(tag);
    invariant(match !== null, `a tag with a row count was expected, not "${tag}"`);
    const [, words = "", count = ""] = match;
    invariant(command === undefined || command === words, "placements ran the same command");
    command = words;
    total += BigInt(count);
  }
  return `${command}${total}`;
}
