/**
 * DDL that a proxy is about to commit, told to all proxies before it does: from when a proxy has
 * seen an intent, it uses what it knows of tables only after it has asked the catalog database
 * what became of that transaction. So who is answered that the DDL has committed finds it through
 * every proxy, and nobody depends on the one that told it being alive afterwards.
 *
 * An intent names its transaction in the catalog database, which alone decides; its row here may
 * be deleted by whoever knows that the transaction is over. What is in the tables is not known here.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CATALOG_TRUST_MS, DDL_ANNOUNCE_TIMEOUT_MS, DDL_SEEN_POLL_MS } from "../base/limits.ts";
import { quoteLiteral } from "../base/sql-quoting.ts";
import type { ControlDatabase, Row } from "./control-database.ts";
import { announceRevision, raiseRevision } from "./control-schema.ts";
import { follows } from "./fleet-state.ts";
import type { DdlIntent, MapIdentity, ProxyRow } from "./fleet-state.ts";
import type { LeaseWatch } from "./lease-watch.ts";

export interface AnnouncedDdl {
  /** A proxy that has applied it has seen the intent. */
  readonly revision: number;
  /** In force when it was announced: no other is published before the intent is gone. */
  readonly map: MapIdentity | undefined;
}

/** `proxy`: whose it is, for operators. */
export async function announceDdl(
  database: ControlDatabase,
  { id, transaction }: DdlIntent,
  proxy: string,
): Promise<AnnouncedDdl> {
  return await database.transaction(async () => {
    const [raised] = await database.query(raiseRevision());
    const revision = raised?.[0] ?? "";
    const values = [id, proxy].map(quoteLiteral);
    const xid = transaction === undefined ? "NULL" : quoteLiteral(transaction);
    await database.query(
      `INSERT INTO colonnade.ddl (id, proxy, transaction) VALUES (${values.join(", ")}, ${xid})`,
    );
    const [row] = await database.query(
      "SELECT version, encode(sha256(convert_to(yaml, 'UTF8')), 'hex') FROM colonnade.map WHERE version = (SELECT map_version FROM colonnade.control)",
    );
    await database.query(announceRevision(revision));
    return { revision: Number(revision), map: mapOf(row) };
  });
}

function mapOf(row: Row | undefined): MapIdentity | undefined {
  return row === undefined ? undefined : { version: Number(row[0]), hash: row[1] ?? "" };
}

/**
 * Resolves once each proxy has seen the intent, or trusts what it knows no longer: it does so for
 * CATALOG_TRUST_MS after a renewal. `watch` remembers renewals from one DDL to the next, so that a
 * proxy that is gone is waited for once. Rejects after DDL_ANNOUNCE_TIMEOUT_MS, naming who is late.
 */
export async function untilSeen(
  list: () => Promise<readonly ProxyRow[]>,
  revision: number,
  watch: LeaseWatch,
): Promise<void> {
  const end = performance.now() + DDL_ANNOUNCE_TIMEOUT_MS;
  for (;;) {
    const proxies = await list();
    const nowMs = performance.now();
    watch.observe(proxies, nowMs);
    const late = proxies.filter(
      (proxy) =>
        !follows(proxy, revision) &&
        !watch.hasRunOut({ ...proxy, leaseMs: CATALOG_TRUST_MS }, nowMs),
    );
    if (late.length === 0) return;
    if (nowMs >= end) throw new Error(`not heeded in time by ${late.map(nameOf).join(", ")}`);
    await sleep(DDL_SEEN_POLL_MS);
  }
}

function nameOf({ name, address }: ProxyRow): string {
  return `${name} (${address})`;
}

/** They are over: proxies look at once, and need not ask for them any more. */
export async function endDdl(database: ControlDatabase, ids: readonly string[]): Promise<void> {
  const list = ids.map(quoteLiteral).join(", ");
  await database.transaction(async () => {
    await database.query(`DELETE FROM colonnade.ddl WHERE id IN (${list})`);
    const [control] = await database.query("SELECT revision FROM colonnade.control");
    await database.query(announceRevision(control?.[0] ?? ""));
  });
}

export interface NamedDdl {
  /** `host (address)` of the proxy. */
  readonly proxy: string;
  readonly transaction: string;
}

/** What may be committing now. In a transaction after `raiseRevision`, none is added up to its end. */
export async function ddlUnderWay(database: ControlDatabase): Promise<readonly NamedDdl[]> {
  const rows = await database.query(
    `SELECT coalesce(p.name || ' (' || p.address || ')', 'a proxy that is gone'), d.transaction
     FROM colonnade.ddl d LEFT JOIN colonnade.proxy p ON p.id = d.proxy
     WHERE d.transaction IS NOT NULL ORDER BY d.announced_at`,
  );
  return rows.map(([proxy, transaction]) => ({
    proxy: proxy ?? "",
    transaction: transaction ?? "",
  }));
}
