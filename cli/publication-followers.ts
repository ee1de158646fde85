/** Which proxies serve a map that was just published: those that are waited for, and those that nobody waits for. */
import { setTimeout as sleep } from "node:timers/promises";
import { PUBLISH_POLL_MS, PUBLISH_WAIT_MS } from "../base/limits.ts";
import type { ControlDatabase } from "../control/control-database.ts";
import { follows, isSilent, listProxies, readFleetState } from "../control/fleet-state.ts";

export interface FollowingProxy {
  readonly name: string;
  readonly address: string;
  readonly follows: boolean;
  /** False of one that was silent all along: it may be gone, or cut off and serving the old map. */
  readonly isAwaited: boolean;
  readonly silentMs: number;
  readonly problem: string | undefined;
}

/** Once every live proxy serves the map in force, or after PUBLISH_WAIT_MS. */
export async function untilFollowed(database: ControlDatabase): Promise<readonly FollowingProxy[]> {
  const end = performance.now() + PUBLISH_WAIT_MS;
  const awaited = new Set<string>();
  for (;;) {
    const { revision } = await readFleetState(database);
    const proxies = await listProxies(database);
    // Who falls silent while it is waited for is waited for all the same.
    for (const proxy of proxies) if (!isSilent(proxy)) awaited.add(proxy.id);
    const all = proxies.map((proxy) => ({
      name: proxy.name,
      address: proxy.address,
      follows: follows(proxy, revision),
      isAwaited: awaited.has(proxy.id),
      silentMs: Math.round(proxy.silentMs),
      problem: proxy.problem,
    }));
    if (lateProxies(all).length === 0 || performance.now() >= end) return all;
    await sleep(PUBLISH_POLL_MS);
  }
}

/** Of those that are waited for. */
export function lateProxies(proxies: readonly FollowingProxy[]): readonly FollowingProxy[] {
  return proxies.filter((proxy) => proxy.isAwaited && !proxy.follows);
}

export function followerLine(proxy: FollowingProxy): string {
  const who = `${proxy.name} (${proxy.address})`;
  if (proxy.follows) return `${who} serves it`;
  if (!proxy.isAwaited) {
    const seconds = Math.floor(proxy.silentMs / 1000);
    return `${who} has been silent for ${seconds} s and was not waited for: it may be serving the old map`;
  }
  return `${who} does not serve it yet${proxy.problem === undefined ? "" : `: ${proxy.problem}`}`;
}
