/** How much of the world is walked: by default some seconds of it, with COLONNADE_FULL=1 all that fits in memory. */
import type { Form } from "./world.ts";

/** Two orchestrators, two proxies with a writer each, and a writer that bypasses them. */
const ALL: Form = {
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
  "decisions stored late, a crash": { ...NO_BYPASS, storesLate: true, faults: 1 },
};
