/**
 * One migration in which nobody dies: checks 4, 5, 6, 7, 12, 14, 15, 16 and 20, in the order in
 * which an operator would meet them. It goes there, back, again and again, and is cancelled at last.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parsed } from "../../../cli/rehearse/answers.ts";
import { leftovers } from "../../../cli/rehearse/leftovers.ts";
import { withRehearsal } from "../../../cli/rehearse/pass.ts";
import type { Rehearsal } from "../../../cli/rehearse/pass.ts";
import { broken, firstOf, keepPauses, SOURCE, SPLIT_NAME, splitOptions, TARGETS } from "./check.ts";
import type { Context } from "./check.ts";
import { Crew } from "./crew.ts";
import { DdlAttempts } from "./ddl-attempts.ts";
import { catalogFingerprint, differing } from "./fingerprint.ts";

const PAUSE_BUDGET_MS = 2_000;

export async function calm(context: Context): Promise<void> {
  const ddl = new DdlAttempts(context.signal);
  const options = await splitOptions(context, { onState: (state) => ddl.onState(state) });
  await withRehearsal(options, context.signal, async (rehearsal) => {
    ddl.fleet = rehearsal.fleet;
    const before = await catalogFingerprint(rehearsal.fleet);
    const report = await rehearsal.reported(async () => await played(context, rehearsal, ddl));
    keepPauses(context, report);
    const found = broken(report);
    const { writes, cutovers } = report;
    const rollbacks = cutovers.filter(({ state }) => state === "rolledBack").length;
    const duplicates = writes.refused["23505"] ?? 0;
    context.tell(
      14,
      found.length === 0 && duplicates === 0 && rollbacks === context.profile.rollbacks,
      `${rollbacks} rollbacks, ${writes.acknowledged} writes acknowledged, lost 0; duplicate keys from sequences ${duplicates}${firstOf(found)}; scaled from 100 rollbacks and 1M inserts`,
    );
    context.tell(
      16,
      ddl.isRefused && found.length === 0,
      `${ddl.summary}; silent divergence 0${firstOf(found)}`,
    );
    const left = await leftovers(rehearsal.fleet);
    const changed = differing(before, await catalogFingerprint(rehearsal.fleet));
    const doctor = await rehearsal.fleet.run("migrate", "doctor");
    context.tell(
      20,
      left.length === 0 && changed.length === 0 && doctor.code === 0,
      `after ${rollbacks} rollbacks and a cancel: ${left.length} objects left, ${changed.length} entries of the catalogs differ, doctor ends with ${doctor.code}${firstOf([...left, ...changed])}`,
    );
  });
}

async function played(context: Context, rehearsal: Rehearsal, ddl: DdlAttempts): Promise<void> {
  const { profile, tell } = context;
  await rehearsal.plan();
  await rehearsal.obeyed("start", SPLIT_NAME, "--background");
  await rehearsal.until(SPLIT_NAME, ["ready"]);
  await ddl.attempt("ready");
  await preparedTransaction(context, rehearsal);
  await longTransaction(context, rehearsal);
  const crew = new Crew(rehearsal.fleet);
  await crew.start();
  await sleep(1_000);
  try {
    await rehearsal.switched("cutover", SPLIT_NAME);
    crew.switched();
    await sleep(1_500);
    const isTruncateRefused = await crew.truncateIsRefused();
    await crew.stop();
    const { taken, attemptsAfter, takenAfter, codes } = crew.report;
    const lost = await crew.differences();
    tell(
      4,
      lost.length === 0 && takenAfter === 0 && attemptsAfter > 0 && taken > 0 && isTruncateRefused,
      `20 direct connections (owner, plain role, COPY): ${taken} writes taken, all on the targets; ${attemptsAfter} attempts after the switch, ${takenAfter} taken, TRUNCATE ${isTruncateRefused ? "refused" : "not refused"}; SQLSTATEs ${codes.map(([code, count]) => `${code}: ${count}`).join(", ")}${firstOf(lost)}`,
    );
  } finally {
    await crew.stop();
  }
  await ddl.attempt("reversible");
  await falseAlarms(context, rehearsal);
  for (let round = 1; round <= profile.rollbacks; round += 1) {
    await rehearsal.switched("rollback", SPLIT_NAME);
    await rehearsal.hold();
    if (round === profile.rollbacks) break;
    await rehearsal.obeyed("resync", SPLIT_NAME);
    await rehearsal.until(SPLIT_NAME, ["ready"]);
    await rehearsal.switched("cutover", SPLIT_NAME);
    await rehearsal.hold();
  }
  await idleLog(context, rehearsal);
  await rehearsal.obeyed("cancel", SPLIT_NAME);
  await rehearsal.until(SPLIT_NAME, ["cancelled"]);
}

async function holdsSoFar({ fleet }: Rehearsal): Promise<number> {
  const [row] = await fleet.askControl(
    "SELECT count(*)::int AS n FROM colonnade.hold WHERE started_at IS NOT NULL",
  );
  return Number(row?.["n"]);
}

async function preparedTransaction({ tell }: Context, rehearsal: Rehearsal): Promise<void> {
  const { fleet } = rehearsal;
  const client = await fleet.serverOf(SOURCE).connect(SOURCE);
  await client.query(
    "BEGIN; DELETE FROM public.orders WHERE user_id < 0; PREPARE TRANSACTION 'left_by_somebody'",
  );
  await client.end();
  const before = await holdsSoFar(rehearsal);
  const { code, stderr } = await fleet.run("migrate", "cutover", SPLIT_NAME);
  const held = (await holdsSoFar(rehearsal)) - before;
  await fleet.query(SOURCE, "ROLLBACK PREPARED 'left_by_somebody'");
  tell(
    6,
    code === 1 && stderr.includes("left_by_somebody") && held === 0,
    `cutover ended with ${code}, ${held} pauses begun: ${stderr.trim()}`,
  );
}

async function longTransaction({ tell, profile }: Context, rehearsal: Rehearsal): Promise<void> {
  const { fleet } = rehearsal;
  const client = await fleet.serverOf(SOURCE).connect(SOURCE);
  await client.query("BEGIN; UPDATE public.orders SET note = note WHERE user_id < 0");
  const { rows } = await client.query<{ readonly pid: number }>("SELECT pg_backend_pid() AS pid");
  const pid = String(rows[0]?.pid);
  await sleep(profile.longTransactionMs);
  const pauses: number[] = [];
  let [told, isGivenUp] = ["", true];
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const { code, stdout, stderr } = await fleet.run("migrate", "cutover", SPLIT_NAME, "--json");
    isGivenUp &&= code === 1;
    told += stdout + stderr;
    pauses.push((parsed(stdout) as { readonly pausedMs?: number } | undefined)?.pausedMs ?? 0);
  }
  const served = rehearsal.traffic.report.acknowledged;
  await sleep(1_000);
  const isServed = rehearsal.traffic.report.acknowledged > served;
  const named = (await fleet.run("migrate", "preflight")).stdout;
  await client.query("ROLLBACK");
  await client.end();
  const isNamed = told.includes(pid) || named.includes(`process ${pid}`);
  tell(
    5,
    isGivenUp && isServed && isNamed && Math.max(...pauses) <= PAUSE_BUDGET_MS,
    `a writer open for ${profile.longTransactionMs / 1_000} s: cutovers given up after ${pauses.join(" and ")} ms, service ${isServed ? "back" : "away"}, its process ${isNamed ? `named by ${told.includes(pid) ? "the cutover" : "preflight"}` : "not named"}; the cutover after it succeeded${profile.longTransactionMs < 600_000 ? "; scaled from 10 minutes" : ""}`,
  );
}

async function falseAlarms({ profile, tell }: Context, rehearsal: Rehearsal): Promise<void> {
  const endMs = performance.now() + profile.verifyMs;
  const writes = rehearsal.traffic.report.acknowledged;
  const startMs = performance.now();
  const alarms: string[] = [];
  let rounds = 0;
  do {
    const { code, stdout, stderr } = await rehearsal.fleet.run("migrate", "verify", SPLIT_NAME);
    if (code !== 0) alarms.push(stdout + stderr);
    rounds += 1;
  } while (performance.now() < endMs);
  const seconds = (performance.now() - startMs) / 1_000;
  const rate = (rehearsal.traffic.report.acknowledged - writes) / seconds;
  tell(
    12,
    alarms.length === 0,
    `${rounds} verifications in ${seconds.toFixed(0)} s at ${rate.toFixed(0)} writes/s, ${alarms.length} false alarms${firstOf(alarms)}; scaled from 1 h at 2,000 writes/s`,
  );
}

const IDLE_MS = 5_000;

/** Once nobody writes any more, nothing goes round between the two sides. */
async function idleLog({ tell }: Context, { fleet, traffic, cutovers }: Rehearsal): Promise<void> {
  await traffic.stop();
  await sleep(1_500);
  const databases = [SOURCE, ...TARGETS.map(({ database }) => database)];
  const positions = async (): Promise<readonly bigint[]> =>
    await Promise.all(
      databases.map(async (name) => {
        const [row] = await fleet.query(name, "SELECT (pg_current_wal_lsn() - '0/0')::text AS at");
        return BigInt(String(row?.["at"]));
      }),
    );
  const before = await positions();
  await sleep(IDLE_MS);
  const after = await positions();
  const rates = after.map((at, index) => Number(at - (before[index] ?? at)) / (IDLE_MS / 1_000));
  const switches = cutovers.filter(({ state }) => state !== "ready").length;
  tell(
    15,
    Math.max(...rates) < 1_024,
    `after ${switches} switches there and back, idle: ${rates.map((rate, index) => `${databases[index]} ${rate.toFixed(0)} bytes of log/s`).join(", ")}; every counter is as acknowledged (check 14)${switches < 20 ? "; scaled from 10 cycles" : ""}`,
  );
}
