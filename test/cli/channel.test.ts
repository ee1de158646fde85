/** Questions and answers between processes, without the processes. */
import { expect, test } from "vitest";
import { SqlError } from "../../base/sql-error.ts";
import { Channel } from "../../cli/workers/channel.ts";
import { dividedConfig } from "../../cli/workers/divided-config.ts";
import { DEFAULT_CONFIG } from "../../proxy/config/config.ts";

interface Questions {
  readonly double: { readonly about: number; readonly answer: number };
  readonly refuse: { readonly about: undefined; readonly answer: void };
}

/** The other side is asked nothing that a test needs. */
interface None {
  readonly nothing: { readonly about: undefined; readonly answer: void };
}

/** What is asked of the other side comes back; `isThere` is false for one that is gone. */
function pair(isThere = () => true) {
  const told: string[] = [];
  const asking: Channel<Questions, string, None, never> = new Channel<
    Questions,
    string,
    None,
    never
  >({
    send: (message) => {
      if (isThere()) queueMicrotask(() => answering.receive(structuredClone(message)));
      return isThere();
    },
    onNotice: () => undefined,
    answers: { nothing: async () => undefined },
  });
  const answering: Channel<None, never, Questions, string> = new Channel<
    None,
    never,
    Questions,
    string
  >({
    send: (message) => {
      queueMicrotask(() => asking.receive(structuredClone(message)));
      return true;
    },
    onNotice: (notice) => told.push(notice),
    answers: {
      double: async (number) => number * 2,
      refuse: () => {
        throw new SqlError("reload_refused", "the map has mistakes", {
          detail: "many",
          hint: "no",
        });
      },
    },
  });
  return { asking, answering, told };
}

test("each question gets its own answer, and a notice none", async () => {
  const { asking, told } = pair();
  asking.tell("hello");
  expect(await Promise.all([1, 2, 3].map((each) => asking.ask("double", each)))).toEqual([2, 4, 6]);
  expect(told).toEqual(["hello"]);
});

test("an error comes back as what it is", async () => {
  const error = await pair()
    .asking.ask("refuse", undefined)
    .catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(SqlError);
  expect(error).toMatchObject({ id: "reload_refused", detail: "many", hint: "no" });
});

test("who is gone, or does not answer, is worker_silent", async () => {
  const silent = { id: "worker_silent", sqlstate: "57P03" };
  await expect(pair(() => false).asking.ask("double", 1)).rejects.toMatchObject(silent);
  const { asking, answering } = pair();
  answering.receive = () => undefined;
  await expect(asking.ask("double", 1, 20)).rejects.toMatchObject(silent);
  const waiting = asking.ask("double", 1);
  asking.close();
  await expect(waiting).rejects.toMatchObject(silent);
});

test("messages of others, and answers to nobody, do nothing", () => {
  const { asking } = pair();
  for (const message of [null, undefined, 7, "x", {}, { type: "answer", number: 99, value: 1 }])
    asking.receive(message);
});

test("limits of a whole proxy are divided, and nothing is lost of them", () => {
  const config = {
    ...DEFAULT_CONFIG,
    pool: { ...DEFAULT_CONFIG.pool, size: 20, waiters_max: 2 },
    listen: { ...DEFAULT_CONFIG.listen, max_clients: 100 },
  };
  const parts = [0, 1, 2].map((index) => dividedConfig(config, index, 3));
  expect(parts.map(({ pool }) => pool.size)).toEqual([7, 7, 6]);
  expect(parts.map(({ listen }) => listen.max_clients)).toEqual([34, 33, 33]);
  expect(parts.map(({ pool }) => pool.waiters_max)).toEqual([1, 1, 1]);
  expect(parts.map(({ pool }) => pool.adaptive.min)).toEqual([2, 2, 2]);
  expect(() => dividedConfig(config, 0, 11)).toThrow("pool.size is 20, and 11 workers need 2");
  const few = { ...config, listen: { ...config.listen, max_clients: 2 } };
  expect(() => dividedConfig(few, 0, 3)).toThrow(
    "listen.max_clients is 2, and there are 3 workers",
  );
});
