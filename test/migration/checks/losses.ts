/** Checks 1 and 2: whole migrations under traffic, plain, and with one process killed somewhere. */
import { FAULT_STATES } from "../../../cli/rehearse/faults.ts";
import type { Fault } from "../../../cli/rehearse/faults.ts";
import { runPass } from "../../../cli/rehearse/pass.ts";
import { Random } from "../../../cli/rehearse/random.ts";
import { broken, firstOf, keepPauses, splitOptions } from "./check.ts";
import type { Context } from "./check.ts";

/** In turn at the limit of the machine, and at a rate at which the stream is current; with and without a rollback. */
export async function plainLosses(context: Context): Promise<void> {
  const { profile, seed, signal, tell } = context;
  const found: string[] = [];
  let acknowledged = 0;
  for (let run = 0; run < profile.plainRuns; run += 1) {
    const options = await splitOptions(
      { ...context, seed: seed + run },
      { name: run % 2 === 0 ? "complete" : "rollback", pauseMs: run % 2 === 0 ? 0 : 10 },
    );
    const report = await runPass(options, signal);
    keepPauses(context, report);
    acknowledged += report.writes.acknowledged;
    found.push(...broken(report).map((why) => `seed ${seed + run}: ${why}`));
  }
  tell(
    1,
    found.length === 0,
    `${profile.plainRuns} migrations at two write rates, ${acknowledged} writes acknowledged, lost or doubled 0${firstOf(found)}${profile.plainRuns < 50 ? "; scaled from 50 migrations" : ""}`,
  );
}

const VICTIMS: readonly Fault["kind"][] = ["kill orchestrator", "kill proxy", "kill server"];

export async function killedAnything(context: Context): Promise<void> {
  const { profile, seed, signal, tell } = context;
  const found: string[] = [];
  let [acknowledged, unknown, played] = [0, 0, 0];
  for (let run = 0; run < profile.killRuns; run += 1) {
    const random = new Random(seed * 10_000 + run);
    const fault: Fault = {
      state: random.pick(FAULT_STATES),
      kind: VICTIMS[run % VICTIMS.length] ?? "kill server",
      target: random.integer(0, 12),
      afterMs: random.integer(0, 100),
    };
    const options = await splitOptions(
      { ...context, seed: seed + run },
      { faults: [fault], pauseMs: run % 2 === 0 ? 0 : 10 },
    );
    const report = await runPass(options, signal);
    acknowledged += report.writes.acknowledged;
    unknown += report.writes.unknown;
    played += report.faults.filter(({ outcome }) => outcome === "played").length;
    found.push(
      ...broken(report).map((why) => `seed ${seed + run}, ${fault.kind} in ${fault.state}: ${why}`),
    );
  }
  tell(
    2,
    found.length === 0 && played > 0,
    `${profile.killRuns} runs, ${played} SIGKILLs played, ${acknowledged} writes acknowledged, ${unknown} not answered, lost or doubled 0, all runs completed${firstOf(found)}${profile.killRuns < 300 ? "; scaled from 300 runs" : ""}`,
  );
}
