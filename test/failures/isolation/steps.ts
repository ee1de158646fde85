/** What the visitors do, each with a check of its own: settings, roles, temporary tables, locks, statements, cursors, notifications. */
import { setTimeout as sleep } from "node:timers/promises";
import { DatabaseError } from "pg";
import { below, pick } from "../../shardmap/random-keys.ts";
import type { Step } from "./visitor.ts";

/** Accounts in each placement, of the schema in test/session/servers.ts. */
const ACCOUNTS = [1, 101, 201] as const;
const NOTIFIED_WITHIN_MS = 15_000;

/** Each with values that PostgreSQL shows as they were set. */
const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  timezone: ["UTC", "Asia/Tokyo", "America/Lima", "Europe/Paris"],
  statement_timeout: ["100s", "200s", "400s", "500s"],
  work_mem: ["5MB", "6MB", "7MB", "8MB"],
  search_path: ["public", "public, side", "public, pg_temp"],
  "app.tenant": [],
};

const readState: Step = async (visitor) => {
  visitor.count("settings read");
  const { state, id } = visitor;
  const names = [...state.settings.keys()];
  const columns = names.map((name, index) => `current_setting('${name}') AS s${index}`);
  const read = await visitor.rows(
    `SELECT current_setting('application_name') AS name, current_user AS who,
       coalesce(nullif(current_setting('app.tenant', true), ''), 'none') AS tenant
       ${columns.map((column) => `, ${column}`).join("")}
     FROM public.accounts WHERE id = $1`,
    [pick(visitor.random, ACCOUNTS)],
  );
  const own = {
    name: state.name,
    who: state.role ?? "postgres",
    tenant: state.settings.get("app.tenant") ?? "none",
    ...Object.fromEntries(names.map((name, index) => [`s${index}`, state.settings.get(name)])),
  };
  visitor.expect(`the state of ${id}`, read, [own]);
};

const changeSettings: Step = async (visitor) => {
  visitor.count("settings changed");
  const { state, random } = visitor;
  const name = pick(random, Object.keys(SETTINGS));
  const values = SETTINGS[name] ?? [];
  const value = values.length > 0 ? pick(random, values) : `tenant ${visitor.ownNumber()}`;
  switch (below(random, 4)) {
    case 0:
      await visitor.client.query("SELECT set_config($1, $2, true)", [name, value]);
      break;
    case 1:
      await visitor.client.query(`BEGIN; SET LOCAL ${name} = ${quoted(name, value)}`);
      visitor.expect(`SET LOCAL ${name}`, await visitor.rows(`SHOW ${name}`), [
        { [shown(name)]: value },
      ]);
      await visitor.client.query(below(random, 2) === 0 ? "COMMIT" : "ROLLBACK");
      break;
    case 2:
      await visitor.client.query(`BEGIN; SET ${name} = ${quoted(name, value)}; ROLLBACK`);
      break;
    default:
      await visitor.client.query(`SET ${name} = ${quoted(name, value)}`);
      state.settings.set(name, value);
  }
  await readState(visitor);
};

function quoted(name: string, value: string): string {
  return name === "search_path" ? value : `'${value}'`;
}

function shown(name: string): string {
  return name === "timezone" ? "TimeZone" : name;
}

const changeRole: Step = async (visitor) => {
  visitor.count("roles");
  const { state, random, id } = visitor;
  const role = `visitor_${id}`;
  switch (below(random, 3)) {
    case 0:
      await visitor.client.query(`BEGIN; SET LOCAL ROLE ${role}`);
      visitor.expect("SET LOCAL ROLE", await visitor.rows("SELECT current_user AS who"), [
        { who: role },
      ]);
      await visitor.client.query("COMMIT");
      break;
    case 1:
      await visitor.client.query("RESET ROLE");
      state.role = undefined;
      break;
    default:
      await visitor.client.query(`SET ROLE ${role}`);
      state.role = role;
  }
  await readState(visitor);
};

const useTemporary: Step = async (visitor) => {
  visitor.count("temporary tables");
  const { state } = visitor;
  const value = visitor.ownNumber();
  if (state.temporary === undefined) {
    await visitor.client.query("CREATE TEMP TABLE own_rows (id bigint)");
    // Whoever the client is by then.
    await visitor.client.query("GRANT ALL ON pg_temp.own_rows TO PUBLIC");
    state.temporary = [];
  }
  await visitor.client.query("INSERT INTO pg_temp.own_rows VALUES ($1)", [value]);
  state.temporary.push(value);
  const read = await visitor.rows("SELECT id FROM pg_temp.own_rows ORDER BY id");
  const own = state.temporary.toSorted((left, right) => left - right);
  visitor.expect(
    "the rows of a temporary table",
    read,
    own.map((id) => ({ id: String(id) })),
  );
};

const dropTemporary: Step = async (visitor) => {
  const { state, random } = visitor;
  if (state.temporary === undefined) return;
  visitor.count("temporary tables dropped");
  // A table is dropped by its owner, or by the superuser that the client is without a role.
  const isDropped = state.role === undefined && below(random, 2) === 0;
  await visitor.client.query(isDropped ? "DROP TABLE pg_temp.own_rows" : "DISCARD TEMP");
  state.temporary = undefined;
  await visitor.fails("SELECT * FROM pg_temp.own_rows", "42P01");
};

/** Keys are the client's own, so each lock is granted unless its last session is on its way out. */
const lock: Step = async (visitor) => {
  visitor.count("locks");
  const { state, random, id } = visitor;
  const key = below(random, 3);
  const held = state.locks.get(key) ?? 0;
  const [row] = await visitor.rows("SELECT pg_try_advisory_lock($1, $2) AS is", [id, key]);
  const granted = (row as { is: boolean }).is;
  if (granted) state.locks.set(key, held + 1);
  else if (held > 0) visitor.leak(`its own lock ${key} is another's`);
};

const unlock: Step = async (visitor) => {
  const { state, random, id } = visitor;
  const key = below(random, 3);
  const held = state.locks.get(key) ?? 0;
  const [row] = await visitor.rows("SELECT pg_advisory_unlock($1, $2) AS is", [id, key]);
  visitor.expect(`unlocking ${key}, held ${held} times`, row, { is: held > 0 });
  if (held > 1) state.locks.set(key, held - 1);
  else state.locks.delete(key);
};

/** One name for all, and another text for each. */
const prepare: Step = async (visitor) => {
  visitor.count("prepared statements");
  const { state, random, id } = visitor;
  const read = await visitor.client.query({
    name: "shared name",
    text: `SELECT ${id} AS id, $1::text AS given`,
    values: [state.name],
  });
  visitor.expect("a prepared statement", read.rows, [{ id, given: state.name }]);
  const name = `p${below(random, 2)}`;
  const known = state.prepared.get(name);
  if (known === undefined) {
    const value = `${visitor.ownNumber()}`;
    await visitor.client.query(
      `PREPARE ${name} AS SELECT '${value}' AS own FROM public.accounts WHERE id = $1`,
    );
    state.prepared.set(name, value);
  } else if (below(random, 4) === 0) {
    await visitor.client.query(`DEALLOCATE ${name}`);
    state.prepared.delete(name);
    await visitor.fails(`EXECUTE ${name}(1)`, "26000");
  } else {
    const account = pick(random, ACCOUNTS);
    visitor.expect(`EXECUTE ${name}`, await visitor.rows(`EXECUTE ${name}(${account})`), [
      { own: known },
    ]);
  }
};

/** All declare one name. Some are left open, and some outlive their transaction. */
const walkCursor: Step = async (visitor) => {
  visitor.count("cursors");
  const { random, id } = visitor;
  const isHeld = below(random, 3) === 0;
  await visitor.client.query("BEGIN");
  await visitor.client.query(
    `DECLARE walk CURSOR ${isHeld ? "WITH HOLD" : ""} FOR
     SELECT id, ${id} AS own FROM public.accounts ORDER BY id`,
  );
  const all = [1, 2, 101, 201].map((account) => ({ id: String(account), own: id }));
  visitor.expect(
    "the first rows of a cursor",
    await visitor.rows("FETCH 2 FROM walk"),
    all.slice(0, 2),
  );
  if (isHeld) await visitor.client.query("COMMIT");
  visitor.expect("the rest of a cursor", await visitor.rows("FETCH ALL FROM walk"), all.slice(2));
  if (isHeld) await visitor.client.query("CLOSE walk");
  else await visitor.client.query(below(random, 2) === 0 ? "COMMIT" : "ROLLBACK");
  await visitor.client.query("BEGIN");
  await visitor.fails("FETCH 1 FROM walk", "34000");
  await visitor.client.query("ROLLBACK");
};

/** Somebody listens on each of a few channels of each client's; everybody sends to anybody's. */
const notify: Step = async (visitor) => {
  visitor.count("notifications");
  const { state, random, id } = visitor;
  if (state.channels.size === 0 || below(random, 4) === 0) {
    const channel = `visitor_${id}_${below(random, 2)}`;
    state.channels.add(channel);
    await visitor.client.query(`LISTEN ${channel}`);
  }
  const [own = ""] = state.channels;
  const sent = `to ${own} from ${id}.${visitor.ownNumber()}`;
  const stranger = `visitor_${below(random, 200)}_0`;
  await visitor.client.query(
    `NOTIFY ${stranger}, 'to ${stranger} from ${id}'; NOTIFY ${own}, '${sent}'`,
  );
  const end = performance.now() + NOTIFIED_WITHIN_MS;
  while (!state.notified.includes(sent) && performance.now() < end) await sleep(20);
  if (!state.notified.includes(sent)) visitor.leak(`not notified of "${sent}"`);
  state.notified.length = 0;
};

/** A commit in two phases, or none, whoever the client is just now. */
const writeOverDatabases: Step = async (visitor) => {
  visitor.count("writes over databases");
  const number = visitor.id * 10_000 + below(visitor.random, 10_000);
  const commits = below(visitor.random, 2) === 0;
  await visitor.client.query("BEGIN");
  await visitor.client.query("DELETE FROM public.late WHERE n = $1", [number]);
  await visitor.client.query("INSERT INTO public.late VALUES (1, $1), (101, $1), (201, $1)", [
    number,
  ]);
  await visitor.client.query(commits ? "COMMIT" : "ROLLBACK");
  if (!commits) return;
  const read = await visitor.rows("SELECT account FROM public.late WHERE n = $1 ORDER BY account", [
    number,
  ]);
  visitor.expect(
    "what was written over databases",
    read,
    ACCOUNTS.map((account) => ({ account: String(account) })),
  );
};

/** A transaction that fails keeps nothing of what it made. */
const fail: Step = async (visitor) => {
  visitor.count("failures");
  const { client } = visitor;
  await client.query("BEGIN");
  await client.query("SET app.tenant = 'of a failed transaction'");
  await client.query("CREATE TEMP TABLE of_a_failed_transaction (a int)");
  await client.query("PREPARE of_a_failed_transaction AS SELECT 1");
  await visitor.fails("SELECT 1 / 0", "22012");
  await client.query("ROLLBACK");
  await client.query("DEALLOCATE of_a_failed_transaction");
  await visitor.fails("SELECT * FROM pg_temp.of_a_failed_transaction", "42P01");
  await readState(visitor);
};

const SLEEP_MS = 10_000;
const SLEEPS = [
  "SELECT public.late_sleep(10 + id * 0) FROM public.accounts WHERE id = 101",
  "SELECT id FROM public.accounts WHERE public.late_sleep(10 + id * 0) ORDER BY id",
  "SELECT pg_sleep(10)",
];
/** A request sent so long after a statement comes after it, also to a proxy with much to do. */
const SURELY_LATER_MS = 500;

/** The request hits what runs, and nothing that comes after it, of this client or another. */
const cancel: Step = async (visitor) => {
  visitor.count("cancels");
  const { random } = visitor;
  const slept: Promise<unknown> = visitor.client
    .query(pick(random, SLEEPS))
    .catch((error: unknown) => error);
  const waitMs = below(random, 2) === 0 ? below(random, 60) : SURELY_LATER_MS;
  await sleep(waitMs);
  await visitor.cancel();
  const takenMs = performance.now();
  const outcome = await slept;
  const isCancelled = outcome instanceof DatabaseError && outcome.code === "57014";
  if (isCancelled) visitor.count("cancelled");
  else if (outcome instanceof Error)
    visitor.leak(`a cancelled statement ended with ${String(outcome)}`);
  else if (waitMs === SURELY_LATER_MS && performance.now() - takenMs > SLEEP_MS / 2)
    visitor.leak("a cancel request stopped nothing");
  if (below(random, 3) === 0) await visitor.cancel();
  await readState(visitor);
};

/** At about the statement's end, so that the request and the backend's next client are on their way together. */
const cancelLate: Step = async (visitor) => {
  visitor.count("late cancels");
  const { random } = visitor;
  const statement = "SELECT public.late_sleep(0.01 + id * 0) FROM public.accounts WHERE id = 101";
  const ended: Promise<unknown> = visitor.client.query(statement).catch((error: unknown) => error);
  await sleep(below(random, 25));
  await visitor.cancel();
  const outcome = await ended;
  if (outcome instanceof DatabaseError && outcome.code === "57014") visitor.count("cancelled late");
  else if (outcome instanceof Error)
    visitor.leak(`a statement cancelled late ended with ${String(outcome)}`);
  await readState(visitor);
};

const disconnect: Step = async (visitor) => {
  visitor.count("disconnects");
  const { random } = visitor;
  switch (below(random, 4)) {
    case 0:
      return visitor.vanish();
    case 1:
      await visitor.client.query("BEGIN; UPDATE public.late SET n = n WHERE n = 0");
      return visitor.vanish();
    case 2:
      visitor.client.query(pick(random, SLEEPS)).catch(() => undefined);
      await sleep(below(random, 30));
      return visitor.vanish();
    default:
      return await visitor.leave();
  }
};

export const STEPS: readonly Step[] = [
  readState,
  changeSettings,
  changeSettings,
  changeRole,
  useTemporary,
  useTemporary,
  dropTemporary,
  lock,
  unlock,
  prepare,
  prepare,
  walkCursor,
  notify,
  writeOverDatabases,
  fail,
  cancel,
  cancelLate,
  cancelLate,
  disconnect,
];
