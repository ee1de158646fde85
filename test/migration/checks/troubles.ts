/** Checks 3, 17 and 18: a proxy that is frozen in a cutover, a slot that somebody drops, an orchestrator that wakes up late. */
import { setTimeout as sleep } from "node:timers/promises";
import { withRehearsal } from "../../../cli/rehearse/pass.ts";
import type { Rehearsal } from "../../../cli/rehearse/pass.ts";
import { shardsGuard } from "../../../shardmap/guard.ts";
import { broken, firstOf, SOURCE, SPLIT_NAME, splitOptions, TARGETS } from "./check.ts";
import type { Context } from "./check.ts";

async function untilReady(rehearsal: Rehearsal): Promise<void> {
  await rehearsal.plan();
  await rehearsal.obeyed("start", SPLIT_NAME, "--background");
  await rehearsal.until(SPLIT_NAME, ["ready"]);
  await rehearsal.hold();
}

async function toTheEnd(rehearsal: Rehearsal): Promise<void> {
  await rehearsal.hold();
  await rehearsal.verify(SPLIT_NAME);
  await rehearsal.obeyed("complete", SPLIT_NAME);
  await rehearsal.until(SPLIT_NAME, ["completed"]);
}

/** Writers and readers of the frozen proxy go on when it thaws: what they do then is in I1, I2 and I3. */
export async function frozenProxy(context: Context): Promise<void> {
  const { profile, tell, signal } = context;
  let signalProxy: (signal: "SIGSTOP" | "SIGCONT") => void = () => undefined;
  let isFrozen = false;
  const options = await splitOptions(context, {
    onState: (state) => {
      // One that froze with a write of its own open is in the fence's way: the attempt is given up.
      const isDue = state === "pausing" ? true : state === "ready" ? false : isFrozen;
      if (isDue !== isFrozen) signalProxy(isDue ? "SIGSTOP" : "SIGCONT");
      isFrozen = isDue;
    },
  });
  await withRehearsal(options, signal, async (rehearsal) => {
    const [proxy] = rehearsal.fleet.proxies;
    signalProxy = (which) => {
      if (which === "SIGCONT") proxy?.signal(which);
      else void untilHeld(rehearsal).then(() => proxy?.signal(which));
    };
    const report = await rehearsal.reported(async () => {
      await untilReady(rehearsal);
      try {
        await rehearsal.switched("cutover", SPLIT_NAME);
        const thawAt = performance.now() + profile.frozenMs;
        await rehearsal.verify(SPLIT_NAME);
        await sleep(Math.max(0, thawAt - performance.now()));
      } finally {
        // Its clients wait for it, whatever has happened.
        proxy?.signal("SIGCONT");
      }
      await sleep(2_000);
      await toTheEnd(rehearsal);
    });
    const found = broken(report);
    const attempts = report.cutovers.map(
      ({ state, pausedMs }) => `${state} after ${pausedMs ?? 0} ms`,
    );
    tell(
      3,
      isFrozen && found.length === 0,
      `one of three proxies stopped in pausing, until ${profile.frozenMs / 1_000} s after the switch: cutovers ${attempts.join(", ")}; statements that took effect on the old side 0, stale reads after its thaw ${report.writes.wrongReads.length}, ${report.writes.acknowledged} writes acknowledged${firstOf(found)}${profile.frozenMs < 30_000 ? "; scaled from 30 s" : ""}`,
    );
  });
}

/** Its own transactions need a moment to end: frozen with a write open, it keeps the fence from coming about. */
const DRAINED_AFTER_MS = 50;

async function untilHeld({ fleet }: Rehearsal): Promise<void> {
  const started =
    "SELECT FROM colonnade.hold WHERE started_at IS NOT NULL AND ended_at IS NULL LIMIT 1";
  for (let look = 0; look < 200; look += 1) {
    if ((await fleet.askControl(started)).length > 0) break;
    await sleep(5);
  }
  await sleep(DRAINED_AFTER_MS);
}

export async function slotLoss(context: Context): Promise<void> {
  const { tell, signal } = context;
  const options = await splitOptions(context);
  await withRehearsal(options, signal, async (rehearsal) => {
    let detectedMs = Number.NaN;
    let chunks: ChunksAnew | undefined;
    const report = await rehearsal.reported(async () => {
      await addQuietRows(rehearsal);
      await untilReady(rehearsal);
      detectedMs = await dropSlot(rehearsal);
      await rehearsal.until(SPLIT_NAME, ["ready"]);
      chunks = await chunksAnew(rehearsal);
      await rehearsal.switched("cutover", SPLIT_NAME);
      await toTheEnd(rehearsal);
    });
    const found = broken(report);
    const { all, rewritten, quiet } = chunks ?? { all: 0, rewritten: 0, quiet: 0 };
    tell(
      17,
      detectedMs < 5_000 && found.length === 0 && all > 3 && quiet === 0 && rewritten < all,
      `a slot dropped while ready: seen after ${detectedMs.toFixed(0)} ms, set up anew, cut over, equal at the end; ${rewritten} of ${all} ranges of keys were written again, of those in which nobody had written ${quiet}${firstOf(found)}`,
    );
  });
}

/** Above every key that traffic writes. */
const QUIET_KEYS = 600_000_000;
/** Half of them are of shards that move: more than two chunks. */
const QUIET_ROWS = 250_000;

async function addQuietRows({ fleet }: Rehearsal): Promise<void> {
  const hash = { kind: "hash", logicalShards: 8 } as const;
  const moves = shardsGuard({ keyTypes: ["bigint"], function: hash }, [0, 1, 2, 3], ["id"]);
  await fleet.query(
    SOURCE,
    `INSERT INTO public.users SELECT * FROM (SELECT ${QUIET_KEYS} + i::bigint AS id, 'quiet' FROM generate_series(1, ${QUIET_ROWS}) i) rows WHERE ${moves}`,
  );
}

interface ChunksAnew {
  readonly all: number;
  readonly rewritten: number;
  /** Rewritten, though nobody writes there. */
  readonly quiet: number;
}

/** What the targets have stored of the second copy. */
async function chunksAnew({ fleet }: Rehearsal): Promise<ChunksAnew> {
  const sum = { all: 0, rewritten: 0, quiet: 0 };
  for (const { database } of TARGETS) {
    const [row] = await fleet.query(
      database,
      `SELECT count(*)::int AS all, count(*) FILTER (WHERE byte_count > 0)::int AS rewritten,
         count(*) FILTER (WHERE byte_count > 0 AND source_table = 'public.users' AND (range_from ->> 0)::int8 > ${QUIET_KEYS})::int AS quiet
       FROM colonnade.move_chunk`,
    );
    const counts = { ...row } as unknown as ChunksAnew;
    sum.all += counts.all;
    sum.rewritten += counts.rewritten;
    sum.quiet += counts.quiet;
  }
  return sum;
}

/** Milliseconds until the migration is no longer ready. */
async function dropSlot({ fleet }: Rehearsal): Promise<number> {
  const slots = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()";
  const [slot] = await fleet.query(SOURCE, slots);
  const name = String(slot?.["slot_name"]);
  for (;;) {
    await fleet.query(
      SOURCE,
      "SELECT pg_terminate_backend(active_pid, 2000) FROM pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL",
      [name],
    );
    try {
      await fleet.query(SOURCE, "SELECT pg_drop_replication_slot($1)", [name]);
      break;
    } catch {
      // Its consumer has come back already.
    }
  }
  const startMs = performance.now();
  for (;;) {
    const [row] = await fleet.askControl("SELECT state FROM colonnade.migration");
    if (row?.["state"] !== "ready") return performance.now() - startMs;
    await sleep(20);
  }
}

/** The first is stopped while it is ready, and wakes up when the second has cut over. */
export async function twoOrchestrators(context: Context): Promise<void> {
  const { tell, signal } = context;
  const options = await splitOptions(context);
  await withRehearsal(options, signal, async (rehearsal) => {
    const { fleet, orchestrator } = rehearsal;
    let output = "";
    const report = await rehearsal.reported(async () => {
      await untilReady(rehearsal);
      orchestrator.signal("SIGSTOP");
      // A daemon looks again and again, until the first has been silent for long enough.
      const second = fleet.start("orchestrate");
      await second.untilPrinted("ready (epoch 2)");
      await rehearsal.switched("cutover", SPLIT_NAME);
      orchestrator.signal("SIGCONT");
      await sleep(1_500);
      output = second.output();
      await toTheEnd(rehearsal);
    });
    orchestrator.signal("SIGCONT");
    const events = await fleet.askControl(
      "SELECT epoch::text AS epoch, state, what FROM colonnade.migration_event ORDER BY number",
    );
    const epochs = events.map(({ epoch }) => Number(epoch));
    const isOrdered = epochs.every(
      (epoch, index) => index === 0 || epoch >= (epochs[index - 1] ?? 0),
    );
    const switches = events.filter(({ state }) => state === "switched").length;
    const found = broken(report);
    tell(
      18,
      isOrdered && output.includes("epoch 2") && found.length === 0,
      `the first stopped while ready, the second took over under epoch 2 and cut over; of ${events.length} events no older epoch follows a newer one, ${switches > 0 ? "one switch" : "no switch"}${firstOf(found)}`,
    );
  });
}
