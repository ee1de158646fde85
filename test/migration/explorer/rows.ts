/**
 * The product's state machine as the explorer drives it: each stored row is made once and known
 * by a number, and each answer of the machine is asked for once. `Rules` are what a mutation may
 * replace; everything else of the machine is always the product's own.
 */
import { UNTHROTTLED } from "../unthrottled.ts";
import { plannedMigration, step } from "../../../migration/machine.ts";
import type { Step } from "../../../migration/machine.ts";
import { effectsOf } from "../../../migration/machine/effects.ts";
import type { Effect } from "../../../migration/machine/effects.ts";
import type { Event } from "../../../migration/machine/events.ts";
import { isTrafficHeld, ownerOf, storableUntilMs } from "../../../migration/machine/life.ts";
import type { Migration, Side } from "../../../migration/machine/life.ts";
import { layoutOf, serverName } from "./servers.ts";
import type { Counts, Layout } from "./servers.ts";

export interface Rules {
  readonly step: (migration: Migration, event: Event, nowMs: number) => Step;
  readonly isTrafficHeld: (migration: Migration) => boolean;
  /** A row is stored only over the one that it was made from. */
  readonly comparesAndSets: boolean;
  /** What an attempt decided is stored before its deadline, or not at all. */
  readonly storesInTime: boolean;
  /** The fence's transaction has its locks only after every writer's commit. */
  readonly fenceWaits: boolean;
  /** Writers that come after it get an error. */
  readonly fenceRefuses: boolean;
  /** An orchestrator tells that a side takes writes once each of its servers does. */
  readonly unfencesAll: boolean;
}

export const PRODUCT: Rules = {
  step,
  isTrafficHeld,
  comparesAndSets: true,
  storesInTime: true,
  fenceWaits: true,
  fenceRefuses: true,
  unfencesAll: true,
};

export interface Row {
  readonly migration: Migration;
  readonly effects: readonly Effect[];
  readonly owner: Side;
  readonly isHeld: boolean;
  /** The same for rows that proxies need not tell apart: a revision they follow. */
  readonly revision: number;
}

/** Further apart than any deadline: each step of the explorer's time makes late what was due. */
const TIME_STEP_MS = 60_000;

export class Rows {
  readonly rules: Rules;
  readonly layout: Layout;
  readonly #rows: Row[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #revisions = new Map<string, number>();
  readonly #answers = new Map<string, number>();

  constructor(rules: Rules, counts: Counts) {
    this.rules = rules;
    this.layout = layoutOf(counts);
  }

  /** Ready to be cut over, held by the first orchestrator. */
  first(): number {
    const { sources, targets } = this.layout.servers;
    const planned = plannedMigration(
      "few_rows",
      { sources: sources.map(serverName), targets: targets.map(serverName) },
      { pauseMs: 2_000, reserveMs: 200, ...UNTHROTTLED },
    );
    return this.#number({ ...planned, epoch: 1, life: { state: "ready" } });
  }

  row(number: number): Row {
    const row = this.#rows[number];
    if (row === undefined) throw new Error(`no row ${number}`);
    return row;
  }

  /** The number of the next row; undefined where the event changes nothing. `key` stands for the event. */
  after(number: number, now: number, key: string, event: () => Event): number | undefined {
    const question = `${number} ${now} ${key}`;
    let answer = this.#answers.get(question);
    if (answer === undefined) {
      const { migration } = this.row(number);
      const result = this.rules.step(migration, event(), now * TIME_STEP_MS);
      answer = result.kind === "moved" ? this.#number(result.migration) : -1;
      this.#answers.set(question, answer);
    }
    return answer === -1 ? undefined : answer;
  }

  isOverdue(number: number, now: number): boolean {
    const { life } = this.row(number).migration;
    return "deadlineMs" in life && now * TIME_STEP_MS >= life.deadlineMs;
  }

  isTooLate(before: number, after: number, now: number): boolean {
    if (!this.rules.storesInTime) return false;
    const untilMs = storableUntilMs(this.row(before).migration, this.row(after).migration);
    return untilMs !== undefined && now * TIME_STEP_MS >= untilMs;
  }

  #number(migration: Migration): number {
    const text = JSON.stringify(migration);
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const owner = ownerOf(migration);
    const isHeld = this.rules.isTrafficHeld(migration);
    const followed = `${owner} ${isHeld} ${migration.ticket}`;
    const revision = this.#revisions.get(followed) ?? this.#revisions.size;
    this.#revisions.set(followed, revision);
    const number = this.#rows.length;
    this.#rows.push({ migration, effects: effectsOf(migration), owner, isHeld, revision });
    this.#numbers.set(text, number);
    return number;
  }
}
