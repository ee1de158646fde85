/** Garbage collections that do not wait until V8 thinks of them. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Options =
  | { readonly type: "minor" }
  | { readonly type: "major"; readonly execution: "sync"; readonly flavor: "last-resort" };

const OPTIONS: Readonly<Record<"minor" | "all", Options>> = {
  /** Of the young generation, in less than a millisecond. */
  minor: { type: "minor" },
  /** Until nothing more is found; memory that is free then goes back to the system. Takes some collections of everything. */
  all: { type: "major", execution: "sync", flavor: "last-resort" },
};

let collect: ((options: Options) => void) | undefined;

export function collectGarbage(what: keyof typeof OPTIONS): void {
  collect ??= exposedCollect();
  collect(OPTIONS[what]);
}

/** V8 has the function for whoever asks before a context is made: that of the process was made without. */
function exposedCollect(): (options: Options) => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as (options: Options) => void;
}
