/**
 * A histogram that is cheap to add to: prom-client makes a string of an observation's labels and
 * looks it up, each time; here whoever observes often keeps the place that it adds to. What is
 * exposed is prom-client's, value for value.
 */
import { Histogram } from "prom-client";
import type { HistogramConfiguration } from "prom-client";

type Labels = Readonly<Record<string, string>>;

/** The observations under one set of labels. */
export class Durations {
  readonly labels: Labels;
  readonly #bounds: readonly number[];
  /** Of each bucket alone; the last is above every bound. */
  readonly #counts: number[];
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(seconds: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && seconds > (bounds[bucket] ?? 0)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += seconds;
  }

  /** As prom-client shows it: buckets are cumulative. */
  values(name: string): readonly Value[] {
    const { labels } = this;
    const shown: Value[] = [];
    let count = 0;
    for (const [index, own] of this.#counts.entries()) {
      count += own;
      const le = this.#bounds[index] ?? "+Inf";
      shown.push({ labels: { le, ...labels }, value: count, metricName: `${name}_bucket` });
    }
    shown.push({ labels: { ...labels }, value: this.#sum, metricName: `${name}_sum` });
    shown.push({ labels: { ...labels }, value: count, metricName: `${name}_count` });
    return shown;
  }
}

interface Value {
  readonly labels: Record<string, string | number>;
  readonly value: number;
  readonly metricName: string;
}

type Shown = ReturnType<Histogram["get"]>;

export class DurationHistogram extends Histogram {
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
  of(labels: Labels): Durations {
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
