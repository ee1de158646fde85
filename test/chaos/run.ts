/**
 * Chaos: tellers and auditors of a bank over three proxies and four databases, while processes are killed,
 * stopped and continued, networks are cut, maps are published and rolled back, and the schema is changed, as a seed has it. Every answer is checked
 * as it comes; afterwards the databases are compared with what each client was told.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ACCOUNTS, DATABASES } from "../failures/kills/bank.ts";
import { faultsInLogs, inBusiness } from "../failures/kills/business.ts";
import { Ledger } from "../failures/kills/ledger.ts";
import { below, seeded } from "../shardmap/random-keys.ts";
import type { Random } from "../shardmap/random-keys.ts";
import { eventsOf } from "./events.ts";
import type { Event, Trouble } from "./events.ts";
import { ChaosFleet, FIRST_ROUTES } from "./fleet.ts";
import { FollowerWatch, FOLLOWS_WITHIN_MS } from "./follower-watch.ts";
import type { ChaosReport } from "./report.ts";
import { SchemaChanges } from "./schema-changes.ts";
import type { PlannedChange } from "./schema-changes.ts";

const TELLERS = 9;
/** What a proxy says of an outage. */
const EXPECTED = /control schema cannot be reached|shard map refused|lease has run out/;
/** In a calm, each proxy answers right so soon. */
const ANSWERS_WITHIN_MS = 5_000;

export async function runChaos(
  seed: number,
  seconds: number,
  print: (line: string) => void,
): Promise<ChaosReport> {
  await using fleet = await ChaosFleet.start();
  const ledger = new Ledger();
  const play = new Play(fleet, ledger, seeded(seed), print);
  const random = seeded(seed + 1);
  const connect = (): ReturnType<ChaosFleet["connect"]> => fleet.connect(random());
  const watch = new FollowerWatch(fleet, ledger.faults);
  const business = { bank: fleet, ledger, random, tellers: TELLERS, connect };
  await fleet.open();
  const account = await inBusiness(business, async () => {
    const stop = new AbortController();
    const watching = watch.run(stop.signal);
    await play.run(performance.now() + seconds * 1_000);
    stop.abort();
    await watching;
  });
  ledger.faults.push(...(await play.lostMaps()), ...(await play.schema.differences()));
  ledger.faults.push(...faultsInLogs(fleet.logs(), EXPECTED));
  return { account, events: play.counts, followedMs: watch.tookMs, faults: ledger.faults };
}

/** Plays events on a fleet, and knows what it has been promised by `map publish`. */
class Play {
  readonly #fleet: ChaosFleet;
  readonly #ledger: Ledger;
  readonly #random: Random;
  readonly #print: (line: string) => void;
  readonly #startMs = performance.now();
  readonly #going = new Set<Promise<void>>();
  readonly #published = new Map<number, string>();
  #routes = FIRST_ROUTES;
  /** One after the other, as operators do it that know of each other. */
  #publishing: Promise<void> = Promise.resolve();
  /** The same of DDL. */
  #changing: Promise<void> = Promise.resolve();
  readonly schema: SchemaChanges;
  readonly counts = new Map<string, number>();

  constructor(fleet: ChaosFleet, ledger: Ledger, random: Random, print: (line: string) => void) {
    this.#fleet = fleet;
    this.#ledger = ledger;
    this.#random = random;
    this.#print = print;
    this.schema = new SchemaChanges(fleet, ledger);
  }

  /** Ends in a calm, after `endMs`. */
  async run(endMs: number): Promise<void> {
    const { proxies, servers, dataLines } = this.#fleet;
    const cast = {
      proxies: proxies.length,
      servers: servers.length,
      dataLines: dataLines.length,
      placements: DATABASES.length,
    };
    let isCalm = false;
    for (const event of eventsOf(this.#random, cast)) {
      if (performance.now() >= endMs) break;
      await sleep(event.afterMs);
      await this.#play(event);
      isCalm = event.kind === "calm";
    }
    if (!isCalm) await this.#calm();
  }

  async #play(event: Event): Promise<void> {
    switch (event.kind) {
      case "trouble":
        return this.#begin(event.trouble, event.forMs);
      case "publish":
        this.#publish("publish", (inForce) => {
          this.#routes = event.routes;
          return ["publish", this.#fleet.mapFile(inForce + 1, event.routes)];
        });
        return;
      case "roll back":
        this.#publish("roll back", (inForce) => [
          "rollback",
          String(Math.max(1, inForce - event.back)),
        ]);
        return;
      case "hold":
        this.#go(this.#hold(`${DATABASES[event.target]}.public`, event.forMs));
        return;
      case "change schema":
        this.#go(this.#changeSchema(event.planned));
        return;
      case "calm":
        await this.#calm(event.planned);
    }
  }

  #tell(line: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1_000).toFixed(1);
    this.#print(`${seconds.padStart(6)} s  ${line}`);
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  #go(work: Promise<void>): void {
    const going = work.finally(() => this.#going.delete(going));
    this.#going.add(going);
  }

  #begin(trouble: Trouble, forMs: number): void {
    const begun = this.#trouble(trouble, forMs);
    if (begun === undefined) return;
    this.#count("cut" in trouble ? `${trouble.kind}: ${trouble.cut}` : trouble.kind);
    this.#tell(`${begun.what} for ${forMs} ms`);
    this.#go(begun.over);
  }

  /** Undefined where its target is in trouble already. */
  #trouble(
    trouble: Trouble,
    forMs: number,
  ): { readonly what: string; readonly over: Promise<void> } | undefined {
    const { proxies, servers, dataLines } = this.#fleet;
    switch (trouble.kind) {
      case "kill proxy": {
        const proxy = proxies[trouble.target];
        if (proxy?.isServing !== true) return undefined;
        const mapFile = trouble.hasFile ? this.#fleet.mapFile(1, FIRST_ROUTES) : undefined;
        const over = killed(proxy, forMs, () => proxy.start(mapFile));
        return { what: `kill ${proxy.name}`, over };
      }
      case "stop proxy": {
        const proxy = proxies[trouble.target];
        if (proxy?.isServing !== true) return undefined;
        return { what: `stop ${proxy.name}`, over: stopped(proxy, forMs) };
      }
      case "kill server": {
        const server = servers[trouble.target];
        if (server?.isWhole !== true) return undefined;
        return { what: `kill ${server.name}`, over: killed(server, forMs, () => server.restart()) };
      }
      case "cut":
      case "cut control": {
        const line =
          trouble.kind === "cut" ? dataLines[trouble.target] : proxies[trouble.target]?.controlLine;
        if (line?.isWhole !== true) return undefined;
        const random = seeded(this.#random());
        line.cut(trouble.cut, () => !trouble.isPartial || below(random, 2) === 0);
        const over = sleep(forMs).then(() => line.mend());
        const part = trouble.isPartial ? ", some connections" : "";
        return { what: `cut ${line.name} (${trouble.cut}${part})`, over };
      }
    }
  }

  #publish(what: string, words: (inForce: number) => readonly string[]): void {
    const before = this.#publishing;
    this.#publishing = (async () => {
      await before;
      const inForce = await this.#inForce();
      if (inForce === undefined) return;
      const given = words(inForce);
      if (given[1] === String(inForce)) return;
      const { code, stderr } = await this.#fleet.command("map", ...given, "--no-wait");
      const result = code === 0 ? "published" : "refused";
      this.#count(`${what}, ${result}`);
      this.#tell(`${what} version ${inForce + 1}: ${code === 0 ? result : stderr.split("\n")[0]}`);
      if (code === 0 && given[0] === "publish")
        this.#published.set(inForce + 1, readFileSync(given[1] ?? "", "utf8"));
    })();
    this.#go(this.#publishing);
  }

  async #changeSchema(planned: PlannedChange): Promise<void> {
    const before = this.#changing;
    this.#changing = (async () => {
      await before;
      const { change, outcome } = await this.schema.make(planned);
      this.#count(`${change}, ${outcome}`);
      this.#tell(`${change}: ${outcome}`);
    })();
    await this.#changing;
  }

  /** Whether it comes about is no matter: with a proxy in trouble it does not. */
  async #hold(placement: string, forMs: number): Promise<void> {
    // Their processes are gone for good, and nobody else will say so.
    await this.#fleet.forgetDeadProxies().catch(() => undefined);
    const words = ["hold", "--placements", placement, "--for", `${forMs}ms`];
    const { code } = await this.#fleet.command(...words);
    const result = code === 0 ? "obeyed" : "not obeyed";
    this.#count(`hold, ${result}`);
    this.#tell(`hold ${placement} for ${forMs} ms: ${result}`);
  }

  async #inForce(): Promise<number | undefined> {
    try {
      const sql = "SELECT map_version AS v FROM colonnade.control";
      const { rows } = await this.#fleet.control.query("postgres", sql);
      return Number(rows[0]?.["v"]);
    } catch {
      return undefined;
    }
  }

  /** Everything is mended; then a map is published, each proxy follows, and answers right. */
  async #calm(planned?: PlannedChange): Promise<void> {
    await Promise.all(this.#going);
    this.#tell("calm");
    this.#count("calm");
    const { proxies } = this.#fleet;
    await Promise.all(proxies.map((proxy) => this.#expectAnswer(proxy)));
    if (planned !== undefined) await this.#changeSchema(planned);
    const refused = this.counts.get("publish, refused") ?? 0;
    this.#publish("publish", (inForce) => [
      "publish",
      this.#fleet.mapFile(inForce + 1, this.#routes),
    ]);
    await this.#publishing;
    if ((this.counts.get("publish, refused") ?? 0) > refused)
      this.#ledger.faults.push("a map was refused though everything was whole");
    await sleep(FOLLOWS_WITHIN_MS + 200);
  }

  async #expectAnswer(proxy: ChaosFleet["proxies"][number]): Promise<void> {
    const endMs = performance.now() + ANSWERS_WITHIN_MS;
    for (;;) {
      try {
        const client = await proxy.connect();
        const [row] = await client.query("SELECT count(*) FROM accounts");
        if (row?.[0] !== String(ACCOUNTS))
          this.#ledger.faults.push(`${proxy.name} counts ${row?.[0]} accounts in a calm`);
        await this.schema.expectOf(client, `${proxy.name} in a calm`);
        await client.close();
        return;
      } catch (error) {
        if (performance.now() < endMs) continue;
        this.#ledger.faults.push(
          `${proxy.name} does not answer though everything is whole: ${String(error)}`,
        );
        return;
      }
    }
  }

  /** What was published and is not in the history as it was given, or a gap in that. */
  async lostMaps(): Promise<readonly string[]> {
    const { rows } = await this.#fleet.control.query(
      "postgres",
      "SELECT version, yaml FROM colonnade.map ORDER BY version",
    );
    const texts = new Map(rows.map(({ version, yaml }) => [Number(version), String(yaml)]));
    const gaps = [...texts.keys()].filter((version, index) => version !== index + 1);
    const lost = [...this.#published].filter(([version, text]) => texts.get(version) !== text);
    return [
      ...gaps.map((version) => `version ${version} of the map is out of its order`),
      ...lost.map(([version]) => `version ${version} of the map was published and is lost`),
    ];
  }
}

async function killed(
  victim: { kill(): Promise<void> },
  forMs: number,
  revive: () => Promise<void>,
): Promise<void> {
  await victim.kill();
  await sleep(forMs);
  await revive();
}

async function stopped(proxy: ChaosFleet["proxies"][number], forMs: number): Promise<void> {
  proxy.pause();
  await sleep(forMs);
  proxy.resume();
}
