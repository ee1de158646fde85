/** Which Node this runs on. An older one would fail at some later line, by a stack that names a method nobody called. */
import { CommandFailure } from "./failure.ts";

/** `engines.node` of package.json says the same; a test compares the two. */
export const NODE_VERSION_MIN = "22.12";

/** `version` as `process.versions.node` gives it: `22.11.0`. */
export function requireNode(version: string): void {
  const [major = 0, minor = 0] = numbers(version);
  const [majorMin = 0, minorMin = 0] = numbers(NODE_VERSION_MIN);
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new CommandFailure(`Node ${NODE_VERSION_MIN} or later is needed, and this is ${version}`);
}

function numbers(version: string): readonly number[] {
  return version.split(".").map(Number);
}
