/** What we broke ourselves; never a client's or a peer's fault. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/**
 * States something that must hold. The message says the rule, not the failure:
 * "a portal belongs to one transaction", not "bad portal".
 */
export function invariant(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new InvariantViolation(rule);
}

/** Ends a `switch` over a union. A new variant that is not handled does not compile. */
export function unreachable(variant: never): never {
  throw new InvariantViolation(`no case handles ${JSON.stringify(variant)}`);
}
