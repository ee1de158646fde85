/**
 * Whose lease has certainly run out. A proxy counts its lease from when it asked for it; here
 * it counts from when its renewal was first seen, which is later, and both have a margin for
 * clocks that drift apart. No two clocks are compared, and the servers' are not used.
 */
import { FLEET_LEASE_DRIFT, FLEET_LEASE_MARGIN_MS } from "../base/limits.ts";
import type { ProxyRow } from "./fleet-state.ts";

type Renewed = Pick<ProxyRow, "id" | "renewal" | "leaseMs">;

interface Seen {
  readonly renewal: number;
  readonly sinceMs: number;
}

export class LeaseWatch {
  readonly #seen = new Map<string, Seen>();

  /** `nowMs`: of a clock that never goes back, read after the rows were. */
  observe(proxies: readonly Renewed[], nowMs: number): void {
    for (const { id, renewal } of proxies)
      if (this.#seen.get(id)?.renewal !== renewal) this.#seen.set(id, { renewal, sinceMs: nowMs });
  }

  /** `proxy`: as it was last observed, at `nowMs`. */
  hasRunOut({ id, renewal, leaseMs }: Renewed, nowMs: number): boolean {
    const seen = this.#seen.get(id);
    if (seen?.renewal !== renewal) return false;
    return nowMs - seen.sinceMs > leaseMs * (1 + FLEET_LEASE_DRIFT) + FLEET_LEASE_MARGIN_MS;
  }
}
