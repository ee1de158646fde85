/** All sessions of a process: starts one a client, finds the one a CancelRequest is for, and ends them. */
import { timingSafeEqual } from "node:crypto";
import type { DatabaseName } from "../../base/ids.ts";
import { DRAIN_SPREAD_MS_PER_CLIENT, KILL_GRACE_MS, SESSION_REVIEW_MS } from "../../base/limits.ts";
import type { SqlError } from "../../base/sql-error.ts";
import { PIN_REASONS } from "../execution/pinned-backend.ts";
import type { PinReason } from "../execution/pinned-backend.ts";
import type { Client, SessionHost } from "./client.ts";
import type { ClientReport } from "./client-report.ts";
import { ClientSession } from "./client-session.ts";
import type { ClientSessions } from "./client-session.ts";
import type { SessionServices } from "./session-services.ts";

export class Sessions implements SessionHost {
  readonly #all: ClientSessions;
  readonly #sessions = new Map<number, ClientSession>();
  readonly #awake = new Set<ClientSession>();
  /** Undefined while all sleep. */
  #reviews: NodeJS.Timeout | undefined;
  #isClosing = false;
  #leaving: readonly NodeJS.Timeout[] = [];

  constructor(services: SessionServices) {
    this.#all = {
      services,
      nowMs: now,
      awoken: (session) => this.#awoken(session),
      over: (session) => this.#over(session),
    };
  }

  /** One for each client: who it is, what it does, and why it keeps a backend, if it does. */
  list(): readonly ClientReport[] {
    return [...this.#sessions.values()].map(({ report }) => report);
  }

  /** Sessions that keep a backend, by each of their reasons. */
  pinned(): ReadonlyMap<PinReason, number> {
    const counts = new Map(PIN_REASONS.map((reason): [PinReason, number] => [reason, 0]));
    for (const { awake } of this.#sessions.values())
      for (const reason of awake?.pinReasons ?? [])
        counts.set(reason, (counts.get(reason) ?? 0) + 1);
    return counts;
  }

  /** Clients with a statement or transaction in the database, or that wait for a connection to it. */
  using(database: DatabaseName): readonly number[] {
    return [...this.#sessions].flatMap(([id, { awake }]) =>
      awake?.uses(database) === true ? [id] : [],
    );
  }

  serve(client: Client, over: () => void): void {
    const served = new ClientSession(client, this.#all, over);
    this.#sessions.set(client.processId, served);
    this.#awoken(served);
    if (this.#isClosing) served.session.close();
    served.start();
  }

  #awoken(session: ClientSession): void {
    this.#awake.add(session);
    this.#reviews ??= setInterval(() => this.#review(), SESSION_REVIEW_MS);
  }

  #over(session: ClientSession): void {
    this.#sessions.delete(session.client.processId);
    this.#awake.delete(session);
    if (this.#awake.size === 0) this.#endReviews();
  }

  #review(): void {
    const nowMs = now();
    for (const session of this.#awake) if (session.review(nowMs)) this.#awake.delete(session);
    if (this.#awake.size === 0) this.#endReviews();
  }

  #endReviews(): void {
    clearInterval(this.#reviews);
    this.#reviews = undefined;
  }

  cancel(processId: number, secretKey: Buffer): void {
    const found = this.#sessions.get(processId);
    if (found === undefined || found.client.secretKey.length !== secretKey.length) return;
    if (timingSafeEqual(found.client.secretKey, secretKey)) found.awake?.cancel();
  }

  /**
   * Ends a session, whatever it does: its statement is cancelled, its transaction rolled back.
   * Resolves once it is over; false where there is no such client.
   */
  async kill(id: number, error: SqlError): Promise<boolean> {
    const found = this.#sessions.get(id);
    if (found === undefined) return false;
    const ended = found.ended();
    found.session.kill(error);
    // It may wait for a client that does not read, or a server that does not answer.
    const cut = setTimeout(() => found.client.end(), KILL_GRACE_MS);
    await ended;
    clearTimeout(cut);
    return true;
  }

  /**
   * No session goes on after its transaction, from its own moment on: those are spread over
   * `spreadMs` at most, in random order, so that not all clients connect elsewhere at once.
   */
  drain(spreadMs: number): void {
    this.#isClosing = true;
    const sessions = [...this.#sessions.values()];
    const slotMs = Math.min(DRAIN_SPREAD_MS_PER_CLIENT, spreadMs / sessions.length);
    this.#leaving = shuffled(sessions).map((each, index) =>
      setTimeout(() => each.session.close(), (index + Math.random()) * slotMs),
    );
  }

  /** The drain's time is up: what runs is cancelled, and every client sent away. */
  end(): void {
    for (const timer of this.#leaving) clearTimeout(timer);
    for (const { client, awake } of this.#sessions.values()) {
      awake?.cancel();
      client.end();
    }
  }
}

function now(): number {
  return Math.round(performance.now());
}

/** Fisher and Yates' way: each order is as likely. */
function shuffled<T>(items: readonly T[]): readonly T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other] as T, order[last] as T];
  }
  return order;
}
