/**
 * What the configuration gives to one of several workers: what bounds a whole proxy is divided, so
 * that servers and memory see as much of several workers as of one. What bounds one client, one
 * statement or a wait is the same for each.
 */
import { WORKER_POOL_SIZE_MIN } from "../../base/limits.ts";
import type { Config } from "../../proxy/config/config.ts";
import { CommandFailure } from "../failure.ts";

/** Throws where there is too little to divide. */
export function dividedConfig(config: Config, index: number, count: number): Config {
  const { pool, listen } = config;
  if (pool.size < count * WORKER_POOL_SIZE_MIN)
    throw new CommandFailure(
      `pool.size is ${pool.size}, and ${count} workers need ${WORKER_POOL_SIZE_MIN} connections each at least: make it ${count * WORKER_POOL_SIZE_MIN} or more, or --workers smaller`,
    );
  if (listen.max_clients < count)
    throw new CommandFailure(
      `listen.max_clients is ${listen.max_clients}, and there are ${count} workers: make it larger, or --workers smaller`,
    );
  const share = (whole: number): number => shareOf(whole, index, count);
  const size = share(pool.size);
  return {
    ...config,
    listen: { ...listen, max_clients: share(listen.max_clients) },
    pool: {
      ...pool,
      size,
      waiters_max: Math.max(1, share(pool.waiters_max)),
      adaptive: { ...pool.adaptive, min: Math.min(size, Math.ceil(pool.adaptive.min / count)) },
    },
  };
}

/** Of what does not divide, the first get one more each. */
function shareOf(whole: number, index: number, count: number): number {
  return Math.floor(whole / count) + (index < whole % count ? 1 : 0);
}
