/** From messages of the stream to what targets do, told without a server. */
import { describe, expect, test } from "vitest";
import { databaseName, type DatabaseName } from "../../base/ids.ts";
import { lsn, type Lsn } from "../../base/lsn.ts";
import { ChunkMap } from "../../migration/chunk-map.ts";
import type { Move, MovedColumn, MovedTable } from "../../migration/move.ts";
import { route, tableFingerprint } from "../../migration/move.ts";
import { Router } from "../../migration/router.ts";
import { parseSnapshot } from "../../migration/snapshot.ts";
import { TargetQueue } from "../../migration/target-queue.ts";
import type { StreamEvent } from "../../migration/change-stream.ts";
import type { Tuple } from "../../proxy/protocol/replication/tuple.ts";
import { placement } from "./rig.ts";

function column(name: string, typeOid: number): MovedColumn {
  return {
    name,
    type: typeOid === 23 ? "integer" : "text",
    typeOid,
    typmod: -1,
    notNull: typeOid === 23,
    isAlwaysIdentity: false,
    order: typeOid === 23 ? "integer" : undefined,
    isBinaryPortable: true,
  };
}

const TABLE: MovedTable = {
  schema: "public",
  name: "users",
  columns: [column("id", 23), column("name", 25)],
  identity: [0],
  oldRows: "identity",
  isPartitioned: false,
  destination: {
    kind: "sharded",
    key: [{ column: "id", type: "integer" }],
    function: {
      kind: "range",
      ranges: [
        { from: undefined, to: { kind: "integer", value: 100n } },
        { from: { kind: "integer", value: 100n }, to: undefined },
      ],
    },
    placementByShard: [placement("one", "a"), placement("two", "b")],
  },
};

const MOVE: Move = { name: "m", source: databaseName("source"), tables: [TABLE] };
const ONE = databaseName("one");
const TWO = databaseName("two");

const RELATION: StreamEvent = {
  kind: "relation",
  id: 1,
  schema: "public",
  name: "users",
  replicaIdentity: "d",
  columns: [
    { isIdentity: true, name: "id", typeOid: 23, typmod: -1 },
    { isIdentity: false, name: "name", typeOid: 25, typmod: -1 },
  ],
};

function row(...values: readonly (string | null)[]): Tuple {
  return values.map((value) => (value === null ? null : Buffer.from(value)));
}

interface Played {
  readonly router: Router;
  readonly chunks: ChunkMap;
  /** What each queue has, as text. */
  readonly taken: (database: DatabaseName) => readonly string[];
  readonly transaction: (id: number, ...events: readonly StreamEvent[]) => void;
}

function play(
  done: ReadonlyMap<DatabaseName, Lsn> = new Map(),
  mayBeWritten?: () => boolean,
): Played {
  const chunks = new ChunkMap(["integer"], [ONE, TWO]);
  const queues = new Map([ONE, TWO].map((name) => [name, new TargetQueue()]));
  const router = new Router({
    move: MOVE,
    chunks: new Map([[TABLE, chunks]]),
    queues,
    done,
    near: 10n,
    isOwnOrigin: (origin) => origin === "own",
    mayBeWritten,
  });
  const taken = (database: DatabaseName): readonly string[] => {
    const found: string[] = [];
    for (
      let entry = queues.get(database)?.take();
      entry !== undefined;
      entry = queues.get(database)?.take()
    )
      found.push(entry.kind === "change" ? entry.change.kind : entry.kind);
    return found;
  };
  const transaction = (id: number, ...events: readonly StreamEvent[]): void => {
    const commitLsn = lsn(BigInt(id * 100));
    router.receive({ kind: "begin", commitLsn, transactionId: id });
    for (const event of events) router.receive(event);
    router.receive({ kind: "commit", commitLsn, endLsn: lsn(BigInt(id * 100 + 50)) });
  };
  return { router, chunks, taken, transaction };
}

/** All rows copied under a snapshot that saw transactions below 12. */
function copied(played: Played): void {
  const range = played.chunks.nextTodo();
  if (range === undefined) throw new Error("a range waits");
  played.chunks.finish(played.chunks.open(range), parseSnapshot("12:12:"));
}

describe("the router", () => {
  test("takes nothing that somebody has written before the source owns its rows, but what is our own", () => {
    let owns = false;
    const played = play(new Map(), () => owns);
    copied(played);
    const insert = { kind: "insert", relationId: 1, row: row("7", "a") } as const;
    played.transaction(12, RELATION, { kind: "origin", name: "own" }, insert);
    owns = true;
    played.transaction(13, insert);
    expect(played.taken(ONE)).toEqual(["insert", "commit"]);
    owns = false;
    expect(() => played.transaction(14, insert)).toThrow(
      expect.objectContaining({
        id: "migration_foreign_write",
        message:
          'somebody has written to "public.users" of database "source", which does not own its rows yet',
      }),
    );
  });

  test("sends a row to its placement, and an update that moves it as a delete and an insert", () => {
    const played = play();
    copied(played);
    played.transaction(
      12,
      RELATION,
      { kind: "insert", relationId: 1, row: row("7", "a") },
      {
        kind: "update",
        relationId: 1,
        old: { has: "identity", row: row("7", null) },
        row: row("107", "a"),
      },
      {
        kind: "update",
        relationId: 1,
        old: { has: "identity", row: row("107", null) },
        row: row("108", "a"),
      },
      { kind: "delete", relationId: 1, old: { has: "identity", row: row("108", null) } },
    );
    expect(played.taken(ONE)).toEqual(["insert", "delete", "commit"]);
    expect(played.taken(TWO)).toEqual(["insert", "update", "delete", "commit"]);
  });

  test("passes over what the snapshot saw, what a target has, and what is its own", () => {
    const played = play(new Map([[ONE, lsn(1_250n)]]));
    copied(played);
    played.transaction(11, RELATION, { kind: "insert", relationId: 1, row: row("1", "a") });
    played.transaction(12, { kind: "insert", relationId: 1, row: row("2", "a") });
    played.transaction(
      13,
      { kind: "origin", name: "own" },
      { kind: "insert", relationId: 1, row: row("3", "a") },
    );
    expect(played.taken(ONE)).toEqual([]);
    played.transaction(14, { kind: "insert", relationId: 1, row: row("4", "a") });
    expect(played.taken(ONE)).toEqual(["insert", "commit"]);
    expect(played.router.position).toBe(1_450n);
  });

  test("keeps what meets an open chunk, without what its snapshot turns out to see", () => {
    const played = play();
    played.transaction(11, RELATION, { kind: "insert", relationId: 1, row: row("1", "a") });
    expect([...played.router.buffers.unseen]).toEqual([11n]);
    const range = played.chunks.nextTodo();
    if (range === undefined) throw new Error("a range waits");
    const chunk = played.chunks.open(range);
    played.router.buffers.open(chunk);
    played.transaction(12, {
      kind: "delete",
      relationId: 1,
      old: { has: "identity", row: row("1", null) },
    });
    played.transaction(13, { kind: "insert", relationId: 1, row: row("1", "b") });
    const changes = played.router.takeChunk(chunk, parseSnapshot("13:13:"));
    expect(
      [...changes].map(([database, kept]) => [database, kept.map(({ kind }) => kind)]),
    ).toEqual([[ONE, ["insert"]]]);
    played.router.observe(parseSnapshot("13:13:"));
    expect(played.router.buffers.unseen.size).toBe(0);
  });

  test("a marker inside a transaction ends it in every target", () => {
    const played = play();
    copied(played);
    const marker: StreamEvent = {
      kind: "message",
      isTransactional: true,
      lsn: lsn(1_201n),
      prefix: "fence",
      content: Buffer.from("1"),
    };
    played.transaction(12, RELATION, { kind: "insert", relationId: 1, row: row("2", "a") }, marker);
    expect(played.taken(ONE)).toEqual(["insert", "markers"]);
    expect(played.taken(TWO)).toEqual(["markers"]);
  });

  test("a changed row without its key stops it: migration_old_row_missing", () => {
    const played = play();
    copied(played);
    const blind: StreamEvent = {
      kind: "delete",
      relationId: 1,
      old: { has: "identity", row: ["unchanged", null] },
    };
    expect(() => played.transaction(12, RELATION, blind)).toThrow(
      expect.objectContaining({ id: "migration_old_row_missing" }),
    );
  });

  test("a transaction whose number is too far from the last one that is known stops it", () => {
    const played = play();
    // Numbers of 32 bits tell no more than half of the way round.
    expect(() => played.transaction(1_500_000_000)).toThrow("near the source's transaction ids");
    play().transaction(900_000_000);
  });

  test("a table that is another than it was stops it", () => {
    const played = play();
    const altered: StreamEvent = { ...RELATION, columns: [] };
    expect(() => played.transaction(12, altered)).toThrow(
      expect.objectContaining({ id: "migration_schema_changed" }),
    );
  });
});

describe("a move", () => {
  test("routes a key by text as by its bytes", () => {
    for (const number of [-5, 0, 99, 100, 2_147_483_647]) {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(number);
      expect(route(TABLE, [String(number)])).toEqual(route(TABLE, [bytes]));
    }
    expect(() => route(TABLE, [null])).toThrow(
      expect.objectContaining({ id: "migration_row_unroutable" }),
    );
  });

  test("has a fingerprint of what it relies on", () => {
    expect(tableFingerprint(TABLE)).toBe(
      'public.users ("id" integer not null, "name" text) identity ("id") identity',
    );
  });
});
