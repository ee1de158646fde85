/** A routing in one line. */
import { unreachable } from "../../base/invariant.ts";
import type { KeyTerm, KeyTuple, Routing } from "../logical-plan.ts";

export function routingLabel(routing: Routing): string {
  switch (routing.kind) {
    case "home":
      return `home ${routing.database} (${routing.because})`;
    case "anyDatabase":
    case "everyDatabase":
      return routing.kind;
    case "shardKeys": {
      const pinned = [
        { colocation: routing.colocation, keys: routing.keys },
        ...routing.alsoPinned,
      ];
      return `shardKeys ${pinned.map(({ colocation, keys }) => `${colocation.name} ${keysLabel(keys)}`).join(" and ")}`;
    }
    case "keyArray":
      return `keyArray ${routing.colocation.name} $${routing.parameter}`;
    case "keyRange": {
      const from = routing.from === undefined ? "(" : `[${termLabel(routing.from)}`;
      const to =
        routing.to === undefined
          ? ")"
          : `${termLabel(routing.to)}${routing.toInclusive ? "]" : ")"}`;
      return `keyRange ${routing.colocation.name} ${from}, ${to}`;
    }
    case "byPulls":
      return "each pull by itself";
    case "noRows":
      return `noRows ${routing.colocation.name}`;
    case "allShards":
      return `allShards ${routing.colocation.name} (${routing.because})`;
    default:
      return unreachable(routing);
  }
}

function keysLabel(keys: readonly KeyTuple[]): string {
  return keys.map((tuple) => `(${tuple.map(termLabel).join(", ")})`).join(" ");
}

export function termLabel(term: KeyTerm): string {
  switch (term.kind) {
    case "text":
      return `'${term.text}'`;
    case "number":
      return term.text;
    case "null":
      return "NULL";
    case "parameter":
      return `$${term.number}`;
    case "generated":
      return `<${term.index}>`;
    default:
      return unreachable(term);
  }
}
