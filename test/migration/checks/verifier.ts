/** Check 11: each kind of wrong row in a target has to be seen among all that are right, and the switch refused. */
import { withRehearsal } from "../../../cli/rehearse/pass.ts";
import type { Rehearsal } from "../../../cli/rehearse/pass.ts";
import { broken, firstOf, SPLIT_NAME, splitOptions, TARGETS } from "./check.ts";
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
  const options = await splitOptions(context);
  await withRehearsal(options, signal, async (rehearsal) => {
    const missed: string[] = [];
    let [seen, rows] = [0, ""];
    let refusal = "";
    const report = await rehearsal.reported(async () => {
      await rehearsal.plan();
      await rehearsal.obeyed("start", SPLIT_NAME, "--background");
      await rehearsal.until(SPLIT_NAME, ["ready"]);
      for (const [what, spoil] of FAULTS) {
        await spoilt(rehearsal, spoil, async () => {
          const { code, stdout } = await rehearsal.fleet.run("migrate", "verify", SPLIT_NAME);
          rows = /(\d+) rows compared/.exec(stdout)?.[1] ?? rows;
          if (code === 1 && !stdout.includes("no differences")) seen += 1;
          else missed.push(`${what} was not seen: ${stdout.trim()}`);
        });
      }
      const [, lost] = FAULTS[1] ?? [];
      if (lost === undefined) return;
      await spoilt(rehearsal, lost, async () => {
        const { code, stderr } = await rehearsal.fleet.run("migrate", "cutover", SPLIT_NAME);
        refusal = code === 1 ? stderr.trim() : "";
      });
    });
    const found = [...missed, ...broken(report)];
    tell(
      11,
      found.length === 0 && refusal !== "",
      `${seen} of ${FAULTS.length} kinds of fault seen, one in ${rows} rows, under writes; with a lost row the cutover ${refusal === "" ? "was not refused" : `was refused: ${refusal}`}${firstOf(found)}; scaled from one in 10M`,
    );
  });
}

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
  const replica = "SET session_replication_role = replica;";
  await fleet.query(
    database,
    `CREATE TABLE public.kept AS SELECT * FROM public.users WHERE id IN (${one}, ${other})`,
  );
  await fleet.query(database, `${replica} ${spoil(one, other)}`);
  try {
    await work();
  } finally {
    await fleet.query(
      database,
      `${replica} DELETE FROM public.users WHERE id IN (${one}, ${other}, -${one}, 777000777); INSERT INTO public.users SELECT * FROM public.kept; DROP TABLE public.kept`,
    );
  }
}
