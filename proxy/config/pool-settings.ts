/** What the configuration says of pools, in the words of proxy/backend/pool-options.ts. It opens none. */
import type { Config } from "./config.ts";

export function poolSettings({ pool, timeouts }: Pick<Config, "pool" | "timeouts">) {
  return {
    size: pool.size,
    waitMs: pool.wait_ms,
    waitersMax: pool.waiters_max,
    shedsEarly: pool.shed_early,
    adaptive: pool.adaptive.enabled ? pool.adaptive : undefined,
    breaker: pool.breaker.enabled
      ? {
          failuresMin: pool.breaker.failures_min,
          failedShare: pool.breaker.failed_percent / 100,
        }
      : undefined,
    lifetimeMs: pool.lifetime_ms,
    idleMs: pool.idle_ms,
    connectTimeoutMs: timeouts.connect_ms,
  };
}
