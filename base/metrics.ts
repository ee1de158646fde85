/**
 * Every metric the product exposes: the catalogue, and the typed set of instruments made
 * from it. docs/metrics.md is generated from the catalogue.
 *
 * A metric's name is written once, as a key. A label's values come from closed sets in
 * the code (kinds, states, ids), never from a client's text: what a client can choose
 * would let it fill our memory.
 */
import { AggregatorRegistry, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { HistogramConfiguration } from "prom-client";
import { invariant } from "./invariant.ts";
import { Durations, Tally } from "./tallies.ts";

interface MetricDefinition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
  /** How several processes' values become one; they are added up where it is absent. */
  readonly ofSeveral?: "min" | "max";
}

/** From a cached single-shard read (about 0.2 ms) to a statement somebody waits for. */
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export const METRICS = {
  colonnade_clients: {
    type: "gauge",
    help: "Connected clients.",
    labels: [],
  },
  colonnade_clients_accepted_total: {
    type: "counter",
    help: "Clients that completed authentication.",
    labels: [],
  },
  colonnade_clients_refused_total: {
    type: "counter",
    help: "Connections closed before they could run a statement, by reason.",
    labels: ["reason"],
  },
  colonnade_backends: {
    type: "gauge",
    help: "Server connections by database and state: idle, busy or connecting.",
    labels: ["database", "state"],
  },
  colonnade_pool_waiters: {
    type: "gauge",
    help: "Statements waiting for a free server connection, by database.",
    labels: ["database"],
  },
  colonnade_pool_limit: {
    type: "gauge",
    help: "Server connections that new transactions may use at once, by database: `pool.size`, or fewer where the pool is adaptive and the database slow.",
    labels: ["database"],
  },
  colonnade_pool_refused_total: {
    type: "counter",
    help: "Statements refused a server connection, by database and reason: overload (it would have come free too late), queue (it was full), deadline (it did not come free in time), circuit (the database fails what it is asked).",
    labels: ["database", "reason"],
  },
  colonnade_circuit_open: {
    type: "gauge",
    ofSeveral: "max",
    help: "1 while new transactions on a database are refused since it fails what it is asked, by database.",
    labels: ["database"],
  },
  colonnade_pinned_sessions: {
    type: "gauge",
    help: "Sessions that keep a connection to the catalog database between transactions, by reason; one may have several.",
    labels: ["reason"],
  },
  colonnade_statements_total: {
    type: "counter",
    help: "Queries and writes run, by kind (read, write or insert) and route (single, scatter or database gather).",
    labels: ["kind", "route"],
  },
  colonnade_relayed_statements_total: {
    type: "counter",
    help: "Those of them that took the short way: a known plan, one placement, no transaction.",
    labels: [],
  },
  colonnade_shared_reads_total: {
    type: "counter",
    help: "Reads answered over a connection that several clients shared.",
    labels: [],
  },
  colonnade_shared_read_writes_total: {
    type: "counter",
    help: "Writes that such reads were sent in: reads by writes are how many went together.",
    labels: [],
  },
  colonnade_shared_read_fallbacks_total: {
    type: "counter",
    help: "Reads that could have shared a connection and were made on one of their own, by reason.",
    labels: ["reason"],
  },
  colonnade_coalesced_reads_total: {
    type: "counter",
    help: "Reads that got the answer of another that asked for the same.",
    labels: [],
  },
  colonnade_statement_seconds: {
    type: "histogram",
    help: "Time from a planned statement's start to the last of its answer, which the client takes at its own pace, by route.",
    labels: ["route"],
    buckets: SECONDS,
  },
  colonnade_gathers_total: {
    type: "counter",
    help: "Answers put together of several placements, by kind: streamed (in the proxy), database (in temporary tables of the catalog database), or overflow (a streamed one that turned out unable and became one in the database, which is counted too).",
    labels: ["kind"],
  },
  colonnade_gather_copied_bytes_total: {
    type: "counter",
    help: "Row bytes copied into temporary tables of the catalog database.",
    labels: [],
  },
  colonnade_errors_total: {
    type: "counter",
    help: "Errors sent to clients, by SQLSTATE class and the product's error id; the id is `relayed` for a server's own.",
    labels: ["class", "id"],
  },
  colonnade_plan_cache_lookups_total: {
    type: "counter",
    help: "Plan cache look-ups by result: hit or miss.",
    labels: ["result"],
  },
  colonnade_plan_cache_evictions_total: {
    type: "counter",
    help: "Plans dropped because the cache was full.",
    labels: [],
  },
  colonnade_plan_cache_entries: {
    type: "gauge",
    help: "Plans in the cache.",
    labels: [],
  },
  colonnade_parser_instances_total: {
    type: "counter",
    help: "Parser instances made; each after the first replaces one that a statement broke.",
    labels: [],
  },
  colonnade_transactions_total: {
    type: "counter",
    help: "Transactions ended, by commit kind: single, two-phase or rollback.",
    labels: ["commit"],
  },
  colonnade_in_doubt_resolved_total: {
    type: "counter",
    help: "Prepared transactions that recovery decided, by outcome: committed or rolled back.",
    labels: ["outcome"],
  },
  colonnade_deadlocks_total: {
    type: "counter",
    help: "Deadlocks over several databases that were broken; a server's own are not among them.",
    labels: [],
  },
  colonnade_listened_channels: {
    type: "gauge",
    help: "Channels that clients LISTEN to, each counted once.",
    labels: [],
  },
  colonnade_notifications_total: {
    type: "counter",
    help: "Notifications received for clients that LISTEN, each counted once however many want it.",
    labels: [],
  },
  colonnade_control_connected: {
    type: "gauge",
    ofSeveral: "min",
    help: "1 while the proxy follows the control schema, 0 while it cannot reach it and serves the map it has; absent without --control.",
    labels: [],
  },
  colonnade_leased_placements: {
    type: "gauge",
    help: "Placements that the proxy serves only while its lease lasts; absent without --control.",
    labels: [],
  },
  colonnade_catalog_questions_total: {
    type: "counter",
    help: "Times that the catalog database was asked, beside statements, whether the catalog still holds: while another proxy commits DDL, or the fleet is silent.",
    labels: [],
  },
  colonnade_leases_lost_total: {
    type: "counter",
    help: "Times that the lease ran out while there were such placements.",
    labels: [],
  },
  colonnade_held_statements: {
    type: "gauge",
    help: "Statements that are held back now.",
    labels: [],
  },
  colonnade_held_bytes: {
    type: "gauge",
    help: "Bytes of their texts and parameters.",
    labels: [],
  },
  colonnade_held_seconds: {
    type: "histogram",
    help: "How long statements were held back, those that were refused in the end included.",
    labels: [],
    buckets: SECONDS,
  },
  colonnade_held_evictions_total: {
    type: "counter",
    help: "Statements refused that were held back, by reason: count, bytes, time, or lease (the proxy's has run out).",
    labels: ["reason"],
  },
  colonnade_workers: {
    type: "gauge",
    help: "Processes that serve the listening address.",
    labels: [],
  },
  colonnade_worker_restarts_total: {
    type: "counter",
    help: "Processes that had ended by themselves, and were started anew (--workers).",
    labels: [],
  },
  colonnade_map_version: {
    type: "gauge",
    ofSeveral: "min",
    help: "Version of the shard map in use; of several workers, the lowest.",
    labels: [],
  },
  colonnade_map_reloads_total: {
    type: "counter",
    help: "Reloads of the shard map, by result: applied or refused.",
    labels: ["result"],
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricName = keyof typeof METRICS;

type LabelOf<Name extends MetricName> = (typeof METRICS)[Name]["labels"][number];
type NamesOf<Type extends MetricDefinition["type"]> = {
  [Name in MetricName]: (typeof METRICS)[Name]["type"] extends Type ? Name : never;
}[MetricName];
type Labels<Name extends MetricName> = Readonly<Record<LabelOf<Name>, string>>;

type Shown = ReturnType<Histogram["get"]>;

/**
 * A histogram that is cheap to add to: whoever observes often keeps the place that it adds to. What is
 * exposed is prom-client's, value for value.
 */
class DurationHistogram extends Histogram {
  readonly #configuration: HistogramConfiguration<string>;
  /** prom-client's own, without observations: what is shown but for the values. */
  readonly #empty: Histogram;
  readonly #durations = new Map<string, Durations>();

  constructor(configuration: HistogramConfiguration<string>) {
    super(configuration);
    this.#configuration = configuration;
    this.#empty = new Histogram({ ...configuration, registers: [] });
    // Without labels there is one place, which shows zeros from the beginning.
    if (configuration.labelNames?.length === 0) this.of({});
  }

  /** The place of these labels: the same for the same. */
  of(labels: Readonly<Record<string, string>>): Durations {
    const { labelNames = [], buckets = [] } = this.#configuration;
    const key = labelNames.map((name) => labels[name] ?? "").join("\0");
    const known = this.#durations.get(key);
    if (known !== undefined) return known;
    const durations = new Durations(labels, buckets);
    this.#durations.set(key, durations);
    return durations;
  }

  override async get(): Shown {
    const { name } = this.#configuration;
    const values = [...this.#durations.values()].flatMap((each) => each.values(name));
    return { ...(await this.#empty.get()), values };
  }

  /** What prom-client makes its text of, in the place of `get`. */
  async getForPromString(): Shown {
    return await this.get();
  }
}

/** One process's instruments. Each call names a metric of the catalogue and all of its labels. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Counter>();
  readonly #gauges = new Map<string, Gauge>();
  readonly #histograms = new Map<string, DurationHistogram>();
  readonly #tallies: (() => void)[] = [];

  constructor() {
    for (const [name, definition] of Object.entries<MetricDefinition>(METRICS)) {
      const { help, labels, type, buckets = [], ofSeveral } = definition;
      const registers = [this.#registry];
      const aggregator: "sum" | "min" | "max" = ofSeveral ?? "sum";
      const options = { name, help, labelNames: [...labels], registers, aggregator };
      if (type === "counter") this.#counters.set(name, new Counter(options));
      else if (type === "gauge") this.#gauges.set(name, new Gauge(options));
      else this.#histograms.set(name, new DurationHistogram({ ...options, buckets: [...buckets] }));
    }
  }

  increment<Name extends NamesOf<"counter">>(name: Name, labels: Labels<Name>, by = 1): void {
    this.#counters.get(name)?.inc(labels, by);
  }

  /** Sets a gauge to what it is now. */
  set<Name extends NamesOf<"gauge">>(name: Name, labels: Labels<Name>, value: number): void {
    this.#gauges.get(name)?.set(labels, value);
  }

  add<Name extends NamesOf<"gauge">>(name: Name, labels: Labels<Name>, by: number): void {
    this.#gauges.get(name)?.inc(labels, by);
  }

  /** A duration, in seconds. */
  observe<Name extends NamesOf<"histogram">>(
    name: Name,
    labels: Labels<Name>,
    seconds: number,
  ): void {
    this.durations(name, labels).observe(seconds);
  }

  /** For who counts the same with every statement: `increment` looks its labels up each time. */
  tally<Name extends NamesOf<"counter">>(name: Name, labels: Labels<Name>): Tally {
    const tally = new Tally();
    this.#tallies.push(() => {
      const grown = tally.take();
      // A series that nothing has counted yet is not shown.
      if (grown > 0) this.increment(name, labels, grown);
    });
    return tally;
  }

  /** As `tally`, of durations. */
  durations<Name extends NamesOf<"histogram">>(name: Name, labels: Labels<Name>): Durations {
    const histogram = this.#histograms.get(name);
    invariant(histogram !== undefined, "each metric of the catalogue has its instrument");
    return histogram.of(labels);
  }

  #addUp(): void {
    for (const add of this.#tallies) add();
  }

  /** Prometheus' text format. */
  async render(): Promise<RenderedMetrics> {
    this.#addUp();
    return { contentType: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** For `renderTogether`, in another process. */
  async values(): Promise<MetricValues> {
    this.#addUp();
    return await this.#registry.getMetricsAsJSON();
  }
}

export interface RenderedMetrics {
  readonly contentType: string;
  readonly text: string;
}

/** As plain data. */
export type MetricValues = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

/** Of processes that have ended: what only grows, added up, so that their sums do not shrink. */
export async function countersTogether(all: readonly MetricValues[]): Promise<MetricValues> {
  const values = await AggregatorRegistry.aggregate([...all]).getMetricsAsJSON();
  return values.filter(({ name }) => {
    const definition: MetricDefinition | undefined = METRICS[name as MetricName];
    return definition !== undefined && definition.type !== "gauge";
  });
}

/** Those of the names. */
export function valuesOf(values: MetricValues, names: readonly MetricName[]): MetricValues {
  return values.filter(({ name }) => names.some((each) => each === name));
}

/** The metrics of several processes as those of one. */
export async function renderTogether(all: readonly MetricValues[]): Promise<RenderedMetrics> {
  const registry = AggregatorRegistry.aggregate([...all]);
  return { contentType: registry.contentType, text: await registry.metrics() };
}
