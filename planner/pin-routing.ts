/** From what pins a statement's tables to the routing that binds it. */
import type { Pin } from "./analyze/units.ts";
import type { PinnedKeys, Routing } from "./logical-plan.ts";

/** All pins must turn out to lie in one placement; an array beside other pins cannot be told, and pins nothing. */
export function settledRouting(pins: readonly Pin[]): Routing | undefined {
  const distinct =
    pins.length < 2 ? pins : [...new Map(pins.map((pin) => [pinIdentity(pin), pin])).values()];
  const keyed = distinct.filter((pin) => pin.kind === "keys");
  const [only] = distinct;
  if (only === undefined) return undefined;
  if (distinct.length === 1) return pinRouting(only, []);
  if (keyed.length !== distinct.length) return undefined;
  const possible = keyed.filter((pin) => !isNull(pin));
  const [first, ...rest] = possible;
  return first === undefined ? pinRouting(only, []) : pinRouting(first, rest);
}

function pinIdentity(pin: Pin): string {
  return JSON.stringify([pin.colocation.name, pin.kind === "keys" ? pin.keys : pin.parameter]);
}

export function pinRouting(pin: Pin, alsoPinned: readonly PinnedKeys[]): Routing {
  const { colocation } = pin;
  if (pin.kind === "array")
    return { kind: "keyArray", colocation, parameter: pin.parameter, typeOid: pin.typeOid };
  if (isNull(pin)) return { kind: "noRows", colocation };
  return {
    kind: "shardKeys",
    colocation,
    keys: pin.keys.filter((tuple) => !hasNull(tuple)),
    alsoPinned,
  };
}

/** A key equals NULL in no row. */
function isNull(pin: Pin): boolean {
  return pin.kind === "keys" && pin.keys.every(hasNull);
}

function hasNull(tuple: readonly { readonly kind: string }[]): boolean {
  return tuple.some(({ kind }) => kind === "null");
}
