/** How much of the world is walked: by default some seconds of it, with COLONNADE_FULL=1 all that fits in memory. */
import type { Form } from "./world.ts";

/** Two orchestrators, two proxies with a writer each, and a writer that bypasses them. */
const ALL: Form = {
  sources: 1,
  targets: 1,
  faults: 0,
  cutovers: 1,
  rollbacks: 0,
  timeSteps: 0,
  storesLate: false,
  orchestrators: 2,
  writers: 2,
  readers: 0,
  bypasses: true,
};

const NO_BYPASS: Form = { ...ALL, bypasses: false };

/** Two sources become one target, as in a merge: each has a row, with a writer through a proxy. */
const MERGE: Form = { ...NO_BYPASS, sources: 2, orchestrators: 1 };

/** One source becomes two targets. */
const SPLIT: Form = { ...MERGE, sources: 1, targets: 2 };

/** Of the second row, the writer is one that bypasses the proxies. */
const BYPASSED = { writers: 1, bypasses: true } as const;

export const FORMS: Readonly<Record<string, Form>> = {
  "one crash or lost lease of anybody": { ...ALL, faults: 1 },
  "attempts given up, by either orchestrator": { ...NO_BYPASS, timeSteps: 1 },
  "attempts given up and tried again": {
    ...NO_BYPASS,
    timeSteps: 1,
    cutovers: 2,
    orchestrators: 1,
    writers: 1,
  },
  "transactions that read": { ...NO_BYPASS, writers: 1, readers: 2 },
  "there and back": { ...NO_BYPASS, rollbacks: 1 },
  "decisions stored late": { ...NO_BYPASS, storesLate: true, timeSteps: 1, writers: 1 },
  "two sources become one, there and back": { ...MERGE, rollbacks: 1 },
  "two sources become one, a crash": { ...MERGE, ...BYPASSED, faults: 1 },
  "two sources become one, attempts given up": { ...MERGE, writers: 1, timeSteps: 1 },
  "two sources become one, by either orchestrator": { ...MERGE, ...BYPASSED, orchestrators: 2 },
  "one source becomes two, there and back": { ...SPLIT, rollbacks: 1 },
  "one source becomes two, a crash": { ...SPLIT, ...BYPASSED, faults: 1 },
  "one source becomes two, attempts given up and tried again": {
    ...SPLIT,
    writers: 1,
    timeSteps: 1,
    cutovers: 2,
  },
};

export const FULL_FORMS: Readonly<Record<string, Form>> = {
  "two crashes, attempts given up": { ...NO_BYPASS, faults: 2, timeSteps: 1, writers: 1 },
  "a crash, attempts given up, reads": {
    ...NO_BYPASS,
    faults: 1,
    timeSteps: 1,
    writers: 1,
    readers: 1,
  },
  "a crash, all writers, attempts given up": { ...ALL, faults: 1, timeSteps: 1 },
  "a crash, there and back": { ...ALL, faults: 1, rollbacks: 1, writers: 1 },
  "reads, all writers": { ...ALL, readers: 1 },
  "two sources become one, attempts given up and tried again": {
    ...MERGE,
    writers: 1,
    timeSteps: 1,
    cutovers: 2,
  },
  "two sources become one, all of them write, attempts given up": { ...MERGE, timeSteps: 1 },
  "two sources become one, a crash, attempts given up": {
    ...MERGE,
    ...BYPASSED,
    faults: 1,
    timeSteps: 1,
  },
  "two sources become one, a crash, there and back": { ...MERGE, faults: 1, rollbacks: 1 },
  "two sources become two, there and back": { ...MERGE, targets: 2, rollbacks: 1 },
  "decisions stored late, a crash": { ...NO_BYPASS, storesLate: true, faults: 1 },
};
