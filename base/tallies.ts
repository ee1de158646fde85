/**
 * What is counted so often that it is not looked up: prom-client makes a string of a metric's labels
 * and finds its place by it, each time; here whoever counts keeps the place. metrics.ts exposes them.
 */

/** What one counter under one set of labels has grown by since it was last looked at. */
export class Tally {
  #pending = 0;

  increment(by = 1): void {
    this.#pending += by;
  }

  /** For Metrics alone. */
  take(): number {
    const pending = this.#pending;
    this.#pending = 0;
    return pending;
  }
}

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
