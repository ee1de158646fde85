/**
 * Walks every world that can be reached, breadth first, so that the way to a broken rule is a
 * shortest one; then looks back from where service is up, so that no world is left from which
 * it does not come back.
 */
import { brokenRule } from "./invariants.ts";
import { orchestratorActions } from "./orchestrators.ts";
import { Rows } from "./rows.ts";
import type { Rules } from "./rows.ts";
import { trafficActions } from "./traffic.ts";
import { firstWorld, keyOf } from "./world.ts";
import type { Form, World } from "./world.ts";

/** A step that is possible. What a fault does is not counted as a way back into service. */
export type Take = (label: string, next: World, kind?: "fault") => void;

/** As many as fit into some gigabytes. */
const STATES_MAX = 2_000_000;

export interface Found {
  readonly states: number;
  /** False where there are more than a search goes through: breadth first, so the longest ways are missing. */
  readonly isWhole: boolean;
  readonly transitions: number;
  /** States of the machine that were met. */
  readonly lives: ReadonlySet<string>;
  readonly broken: Broken | undefined;
}

export interface Broken {
  readonly rule: string;
  /** The steps that lead there. */
  readonly steps: readonly string[];
}

export function search(rules: Rules, form: Form, statesMax = STATES_MAX): Found {
  const rows = new Rows(rules, form);
  const first = rows.first();
  const numbers = new Map<string, number>();
  const queue: (World | undefined)[] = [];
  const cameFrom: number[] = [];
  const cameBy: string[] = [];
  /** Pairs: from, to. Faults left out. */
  const edges: number[] = [];
  const lives = new Set<string>();
  let transitions = 0;
  let broken: Broken | undefined;
  const wayTo = (number: number): string[] => {
    const steps: string[] = [];
    for (let at = number; at > 0; at = cameFrom[at] ?? 0) steps.unshift(cameBy[at] ?? "");
    return steps;
  };
  const add = (reached: World, from: number, label: string): number => {
    const world = withoutIdleStale(reached, rows);
    const { revision, migration } = rows.row(world.row);
    const key = keyOf(world, revision, migration.ticket, rows.layout.all);
    const known = numbers.get(key);
    if (known !== undefined) return known;
    const number = queue.length;
    numbers.set(key, number);
    queue.push(world);
    cameFrom.push(from);
    cameBy.push(label);
    return number;
  };
  add(firstWorld(first, rows.row(first).revision, form), 0, "");
  const isUp: boolean[] = [];
  for (const [number, world] of queue.entries()) {
    if (world === undefined || broken !== undefined || number > statesMax) break;
    const { isHeld, migration, owner } = rows.row(world.row);
    lives.add(migration.life.state);
    isUp.push(!isHeld && rows.layout.servers[owner].every((each) => !world.servers[each].isFenced));
    const take: Take = (label, next, kind) => {
      transitions += 1;
      const rule = brokenRule(world, next, rows);
      if (rule !== undefined) broken ??= { rule, steps: [...wayTo(number), label] };
      const to = add(next, number, label);
      if (kind !== "fault") edges.push(number, to);
    };
    orchestratorActions(world, rows, form, take);
    trafficActions(world, rows, form, take);
    queue[number] = undefined;
  }
  const isWhole = isUp.length === queue.length;
  if (broken === undefined && isWhole) {
    const stuck = worldWithoutReturn(isUp, edges);
    if (stuck !== undefined) broken = { rule: "service never comes back", steps: wayTo(stuck) };
  }
  return { states: isUp.length, isWhole, transitions, lives, broken };
}

/**
 * A stale orchestrator that has nothing to send can only find out that it is stale: it has
 * found out here already, which leaves fewer worlds and none out.
 */
function withoutIdleStale(world: World, rows: Rows): World {
  if (!rows.rules.comparesAndSets) return world;
  const orchestrators = world.orchestrators.map((orchestrator) => {
    const { seen } = orchestrator;
    if (seen === -1 || seen === world.row) return orchestrator;
    const sends = rows
      .row(seen)
      .effects.some(({ do: kind }) => kind === "fence" || kind === "unfence");
    return sends ? orchestrator : { ...orchestrator, seen: -1, next: -1 };
  }) as unknown as World["orchestrators"];
  return { ...world, orchestrators };
}

/** One from which no steps but faults lead to service. */
function worldWithoutReturn(
  isUp: readonly boolean[],
  edges: readonly number[],
): number | undefined {
  // Of each world, its last edge in; of each edge, the one before it into the same world.
  const lastEdge = new Int32Array(isUp.length).fill(-1);
  const edgeBefore = new Int32Array(edges.length / 2);
  for (let edge = 0; edge < edgeBefore.length; edge += 1) {
    const to = edges[2 * edge + 1] ?? 0;
    edgeBefore[edge] = lastEdge[to] ?? -1;
    lastEdge[to] = edge;
  }
  const returns = [...isUp];
  const left = [...isUp.keys()].filter((number) => returns[number]);
  for (let number = left.pop(); number !== undefined; number = left.pop())
    for (let edge = lastEdge[number] ?? -1; edge !== -1; edge = edgeBefore[edge] ?? -1) {
      const from = edges[2 * edge] ?? 0;
      if (returns[from] === true) continue;
      returns[from] = true;
      left.push(from);
    }
  const stuck = returns.indexOf(false);
  return stuck === -1 ? undefined : stuck;
}
