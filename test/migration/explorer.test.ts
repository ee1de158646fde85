/**
 * The protocol of the cutover in every interleaving, over one row of one source and one target,
 * or two rows where a side has two servers: the product's machine decides, the explorer's world
 * obeys it. Each test prints how many worlds it has walked.
 */
import { expect, test } from "vitest";
import { FORMS, FULL_FORMS } from "./explorer/forms.ts";
import { MUTATIONS } from "./explorer/mutations.ts";
import { PRODUCT } from "./explorer/rows.ts";
import { search } from "./explorer/search.ts";
import { IS_FULL_RUN } from "../support/run-mode.ts";

const forms = { ...FORMS, ...(IS_FULL_RUN && FULL_FORMS) };
const TIMEOUT_MS = IS_FULL_RUN ? 900_000 : 120_000;

test.each(Object.entries(forms))(
  "no rule is broken: %s",
  (name, form) => {
    const { states, isWhole, transitions, lives, broken } = search(PRODUCT, form);
    expect(broken).toBeUndefined();
    console.info(
      `${name}: ${isWhole ? "all" : "the first"} ${states} states, ${transitions} transitions, no rule broken`,
    );
    // Only what a full run adds may be too much for one search.
    expect(isWhole || name in FULL_FORMS).toBe(true);
    if (!isWhole) return;
    const met = ["ready", "pausing", "fenced", "drained", "switched", "reversible"];
    if (form.timeSteps > 0) met.push("retreating");
    if (form.rollbacks > 0) met.push("rolledBack");
    expect([...lives].toSorted()).toEqual(met.toSorted());
  },
  TIMEOUT_MS,
);

test.each(MUTATIONS.map((mutation) => [mutation.name, mutation] as const))(
  "the explorer finds it: %s",
  (_name, { rules, form, breaks }) => {
    expect(search(PRODUCT, form).broken).toBeUndefined();
    const { broken } = search(rules, form);
    expect(broken?.rule).toMatch(breaks);
    expect(broken?.steps.length).toBeGreaterThan(2);
  },
  TIMEOUT_MS,
);
