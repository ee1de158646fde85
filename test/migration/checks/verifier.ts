/** Check 11: each kind of wrong row in a target has to be seen among all that are right, and the switch refused. */
import { setTimeout as sleep } from "node:timers/promises";
import { withRehearsal } from "../../../cli/rehearse/pass.ts";
import type { Rehearsal } from "../../../cli/rehearse/pass.ts";
import { broken, firstOf, SOURCE, SPLIT_NAME, splitOptions, TARGETS } from "./check.ts";
import type { Context } from "./check.ts";

/** With ids of two rows of the first target; each undoes itself by the rows kept in `kept`. */
const FAULTS: readonly (readonly [what: string, sql: (one: string, other: string) => string])[] = [
  [
    "byte flip",
    (one) => `UPDATE public.users SET name = overlay(name placing '#' from 1) WHERE id = ${one}`,
  ],
  ["lost row", (one) => `DELETE FROM public.users WHERE id = ${one}`],
  [
    "extra row",
    () =>
      "INSERT INTO public.users SELECT * FROM (SELECT 777000777::bigint, 'extra', NULL::text, NULL::date, '{}'::jsonb, NULL::text, 0) x",
  ],
  ["misrouted row", (one) => `UPDATE public.users SET id = -id WHERE id = ${one}`],
  [
    "swapped values",
    (one, other) =>
      `UPDATE public.users u SET name = o.name FROM public.users o WHERE u.id IN (${one}, ${other}) AND o.id IN (${one}, ${other}) AND o.id <> u.id`,
  ],
  ["lost UPDATE", (one) => `UPDATE public.users SET visits = visits - 1 WHERE id = ${one}`],
  [
    "stale row",
    (one) => `UPDATE public.users SET prefs = '{}', name = 'as it was' WHERE id = ${one}`,
  ],
];

export async function verifierCanFail(context: Context): Promise<void> {
  const { tell, signal } = context;
  let atIndexing: () => void = () => undefined;
  const options = await splitOptions(context, {
    onState: (state) => {
      if (state === "indexing") atIndexing();
    },
  });
  await withRehearsal(options, signal, async (rehearsal) => {
    const missed: string[] = [];
    let [seen, rows, refusal, late, foreign] = [0, "", "", "", ""];
    const report = await rehearsal.reported(async () => {
      refusal = await refusedSwitch(rehearsal, (work) => (atIndexing = work));
      for (const [what, spoil] of FAULTS) {
        await spoilt(rehearsal, spoil, async () => {
          const { code, stdout } = await rehearsal.fleet.run("migrate", "verify", SPLIT_NAME);
          rows = /(\d+) rows compared/.exec(stdout)?.[1] ?? rows;
          if (code === 1 && !stdout.includes("no differences")) seen += 1;
          else missed.push(`${what} was not seen: ${stdout.trim()}`);
        });
      }
      late = await lostLate(rehearsal);
      foreign = await foreignWrite(rehearsal);
      await rehearsal.fleet.query(
        TARGETS[0].database,
        "SELECT pg_replication_origin_drop('colonnade_spoiler')",
      );
      await rehearsal.obeyed("cancel", SPLIT_NAME);
      await rehearsal.until(SPLIT_NAME, ["cancelled"]);
    });
    // What was planted to be refused is no fault of the run.
    const own = broken(report).filter((why) => !why.startsWith("I5: "));
    const found = [...missed, ...own];
    tell(
      11,
      found.length === 0 &&
        refusal.includes("rows_differ") &&
        late.startsWith("stopped: rows_differ") &&
        foreign.startsWith("stopped: foreign_write"),
      `${seen} of ${FAULTS.length} kinds of fault seen, one in ${rows} rows, under writes; a byte flipped after the copy: ${refusal}; a row lost after the last verification: its cutover ${late}; a foreign write into a target: ${foreign}${firstOf(found)}; scaled from one in 10M`,
    );
  });
}

/** With a byte flipped while indexes are built: what the migration then is. Ready once it is put back. */
async function refusedSwitch(
  rehearsal: Rehearsal,
  onIndexing: (work: () => void) => void,
): Promise<string> {
  const { fleet } = rehearsal;
  // A row that is missing for good would keep a foreign key from being made, and be waited for there.
  const [, flip] = FAULTS[0] ?? [];
  const losing = Promise.withResolvers<void>();
  const restored = Promise.withResolvers<void>();
  if (flip === undefined) throw new Error("a flipped byte is one of the faults");
  let hasBegun = false;
  let spoiling = Promise.resolve();
  onIndexing(() => {
    if (hasBegun) return;
    hasBegun = true;
    spoiling = spoilt(rehearsal, flip, async () => {
      losing.resolve();
      await restored.promise;
    }).catch(losing.reject);
  });
  await rehearsal.plan();
  await rehearsal.obeyed("start", SPLIT_NAME, "--background");
  await losing.promise;
  const state = await stateWithin(rehearsal, ["stopped", "ready"]);
  const { code } = await fleet.run("migrate", "cutover", SPLIT_NAME);
  restored.resolve();
  await spoiling;
  await rehearsal.obeyed("resume", SPLIT_NAME);
  await rehearsal.until(SPLIT_NAME, ["ready"]);
  return `${state}, its cutover ended with ${code}`;
}

/** What a cutover comes to when a row has got lost that the last verification has seen; ready again afterwards. */
async function lostLate(rehearsal: Rehearsal): Promise<string> {
  const [, lose] = FAULTS.find(([what]) => what === "lost row") ?? [];
  if (lose === undefined) throw new Error("a lost row is one of the faults");
  let state = "";
  await spoilt(rehearsal, lose, async () => {
    for (let attempt = 0; attempt < 5 && !state.startsWith("stopped"); attempt += 1) {
      await rehearsal.fleet.run("migrate", "cutover", SPLIT_NAME);
      state = await stateWithin(rehearsal, ["stopped", "ready"]);
    }
  });
  await rehearsal.obeyed("resume", SPLIT_NAME);
  await rehearsal.until(SPLIT_NAME, ["ready"]);
  return state;
}

/** With the reason of one that stopped. */
async function stateWithin({ fleet }: Rehearsal, wanted: readonly string[]): Promise<string> {
  for (let look = 0; look < 600; look += 1) {
    const [row] = await fleet.askControl(
      "SELECT state, coalesce(': ' || (document #>> '{life,because}'), '') AS because FROM colonnade.migration",
    );
    const { state = "", because = "" } = { ...row } as Record<string, string>;
    if (wanted.includes(state)) return `${state}${because}`;
    await sleep(100);
  }
  return "no end";
}

/** Somebody writes to a target, past the fence: it must not go to the source. What the migration is then. */
async function foreignWrite(rehearsal: Rehearsal): Promise<string> {
  const { fleet } = rehearsal;
  const [{ database }] = TARGETS;
  await fleet.query(database, "DROP TABLE IF EXISTS public.kept");
  const ids = "SELECT id::text AS id FROM public.users ORDER BY id LIMIT 1";
  const [row] = await fleet.query(database, ids);
  const id = String(row?.["id"]);
  await fleet.query(
    database,
    `SET session_replication_role = replica; UPDATE public.users SET name = 'theirs' WHERE id = ${id}`,
  );
  const state = await stateWithin(rehearsal, ["stopped"]);
  const [source] = await fleet.query(SOURCE, "SELECT name FROM public.users WHERE id = $1", [id]);
  if (source?.["name"] === "theirs") return "taken to the source";
  return `${state}, and the source is as it was`;
}

/** As a session of ours: one of somebody else's would stop the migration by itself, which comes last. */
const AS_OUR_OWN =
  "SELECT pg_replication_origin_create('colonnade_spoiler') WHERE pg_replication_origin_oid('colonnade_spoiler') IS NULL; SELECT pg_replication_origin_session_setup('colonnade_spoiler'); SET session_replication_role = replica;";

/** In a session that passes the fence; what was there is put back. */
async function spoilt(
  { fleet }: Rehearsal,
  spoil: (one: string, other: string) => string,
  work: () => Promise<void>,
): Promise<void> {
  const [{ database }] = TARGETS;
  const ids = await fleet.query(
    database,
    "SELECT id::text AS id FROM public.users ORDER BY id LIMIT 2",
  );
  const [one = "", other = ""] = ids.map(({ id }) => String(id));
  await fleet.query(
    database,
    `CREATE TABLE public.kept AS SELECT * FROM public.users WHERE id IN (${one}, ${other})`,
  );
  await fleet.query(database, `${AS_OUR_OWN} ${spoil(one, other)}`);
  try {
    await work();
  } finally {
    await fleet.query(
      database,
      `${AS_OUR_OWN} DELETE FROM public.users WHERE id IN (${one}, ${other}, -${one}, 777000777); INSERT INTO public.users SELECT * FROM public.kept; DROP TABLE public.kept`,
    );
  }
}
