/** Garbage collections that do not wait until V8 thinks of them. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** `minor`: of the young generation, in less than a millisecond. */
type Collection = "minor" | "major";

type Collect = (options: { readonly type: Collection }) => void;

let collect: Collect | undefined;

export function collectGarbage(type: Collection): void {
  collect ??= exposedCollect();
  collect({ type });
}

/** V8 has the function for whoever asks before a context is made: that of the process was made without. */
function exposedCollect(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}
