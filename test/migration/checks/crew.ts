/**
 * Twenty clients that go past the proxies, straight to where rows are at first: as the tables' owner,
 * as a plain role, by INSERT, by COPY. Each writes rows that nobody else writes, and keeps which were taken.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import copyStreams from "pg-copy-streams";
import type pg from "pg";
import type { Fleet } from "../../../cli/rehearse/fleet.ts";
import { SOURCE, TARGETS } from "./check.ts";

const CREW = 20;
const PLAIN_ROLE = "plain_writer";
const PAUSE_MS = 10;
/** Above every made-up row's. */
const FIRST_ORDER = 500_000_000;

export class Crew {
  readonly #fleet: Fleet;
  readonly #taken = new Map<number, "taken" | "unknown" | "refused">();
  readonly #running: Promise<void>[] = [];
  readonly #codes = new Map<string, number>();
  #users: readonly string[] = [];
  #isStopped = false;
  /** From here on every attempt has to be refused. */
  #isSwitched = false;
  #attemptsAfter = 0;
  #takenAfter = 0;

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  async start(): Promise<void> {
    const rows = await this.#fleet.query(
      SOURCE,
      `SELECT id::text AS id FROM public.users WHERE visits = 0 ORDER BY id LIMIT ${CREW}`,
    );
    this.#users = rows.map(({ id }) => String(id));
    await this.#fleet.query(
      SOURCE,
      `CREATE ROLE ${PLAIN_ROLE} LOGIN; GRANT USAGE ON SCHEMA public TO ${PLAIN_ROLE}; GRANT SELECT, INSERT ON public.orders TO ${PLAIN_ROLE}; GRANT SELECT ON public.users TO ${PLAIN_ROLE}`,
    );
    for (let member = 0; member < CREW; member += 1) this.#running.push(this.#run(member));
  }

  switched(): void {
    this.#isSwitched = true;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  /** Whether TRUNCATE of the old tables is refused, too. */
  async truncateIsRefused(): Promise<boolean> {
    for (;;)
      try {
        await this.#fleet.query(SOURCE, "TRUNCATE public.users CASCADE");
        return false;
      } catch (error) {
        const { code } = error as { readonly code?: string };
        // It locks two tables that writers lock the other way round: who loses tries again.
        if (code !== "40P01") return code === "25006";
      }
  }

  /** Sentences: rows that were taken and are on no target, or refused and there. */
  async differences(): Promise<readonly string[]> {
    const there = new Map<number, number>();
    for (const { database, schema } of TARGETS)
      for (const { id } of await this.#fleet.query(
        database,
        `SELECT id::text AS id FROM ${schema}.orders WHERE id >= ${FIRST_ORDER}`,
      ))
        there.set(Number(id), (there.get(Number(id)) ?? 0) + 1);
    return [...this.#taken].flatMap(([id, state]) => {
      const count = there.get(id) ?? 0;
      const isRight =
        state === "taken" ? count === 1 : state === "refused" ? count === 0 : count <= 1;
      return isRight ? [] : [`order ${id}, which was ${state}, is there ${count} times`];
    });
  }

  get report(): {
    readonly taken: number;
    readonly attemptsAfter: number;
    readonly takenAfter: number;
    readonly codes: readonly (readonly [string, number])[];
  } {
    const taken = [...this.#taken.values()].filter((state) => state === "taken").length;
    const [attemptsAfter, takenAfter] = [this.#attemptsAfter, this.#takenAfter];
    return { taken, attemptsAfter, takenAfter, codes: [...this.#codes] };
  }

  async #run(member: number): Promise<void> {
    const user = member % 3 === 1 ? PLAIN_ROLE : "postgres";
    let client: pg.Client | undefined;
    for (let index = 0; !this.#isStopped; index += 1) {
      const id = FIRST_ORDER + member * 1_000_000 + index;
      const isAfter = this.#isSwitched;
      if (isAfter) this.#attemptsAfter += 1;
      try {
        client ??= await this.#fleet.serverOf(SOURCE).connect(SOURCE, { user });
        await this.#write(client, member, id);
        this.#taken.set(id, "taken");
        if (isAfter) this.#takenAfter += 1;
      } catch (error) {
        const { code = "no answer" } = error as { readonly code?: string };
        const isAnswer = /^[0-9A-Z]{5}$/.test(code) && !/^(?:08|57P)/.test(code);
        this.#taken.set(id, isAnswer ? "refused" : "unknown");
        this.#codes.set(code, (this.#codes.get(code) ?? 0) + 1);
        if (!isAnswer) client = undefined;
      }
      await sleep(PAUSE_MS);
    }
    await client?.end().catch(() => undefined);
  }

  async #write(client: pg.Client, member: number, id: number): Promise<void> {
    const user = this.#users[member % this.#users.length];
    if (member % 3 !== 2) {
      await client.query("INSERT INTO public.orders (user_id, id, note) VALUES ($1, $2, 'past')", [
        user,
        id,
      ]);
      return;
    }
    const copy = client.query(
      copyStreams.from("COPY public.orders (user_id, id, note) FROM STDIN"),
    );
    await pipeline(Readable.from([`${user}\t${id}\tcopied\n`]), copy);
  }
}
