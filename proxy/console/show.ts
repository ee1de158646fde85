/** What a SHOW is: its columns, each with what it tells, and where its rows come from. docs/console.md is made of these. */
import type { ConsoleSources } from "./console-sources.ts";
import type { ConsoleType, ConsoleValue } from "./console-value.ts";

export interface Show {
  /** In lower case. */
  readonly name: string;
  readonly help: string;
  /** It prints what clients wrote. */
  readonly isForAdmins: boolean;
  /** Each of several workers has rows of its own, and says so in a last column. */
  readonly isOfEachWorker: boolean;
  readonly columns: readonly ShowColumn[];
  rows(sources: ConsoleSources): Promise<readonly (readonly ConsoleValue[])[]>;
}

export interface ShowColumn {
  readonly name: string;
  readonly type: ConsoleType;
  readonly help: string;
}

interface ColumnOf<Row> extends ShowColumn {
  readonly value: (row: Row) => ConsoleValue;
}

export function column<Row>(
  name: string,
  type: ConsoleType,
  help: string,
  value: (row: Row) => ConsoleValue,
): ColumnOf<Row> {
  return { name, type, help, value };
}

interface ShowOf<Row> {
  readonly name: string;
  readonly help: string;
  readonly isForAdmins?: boolean;
  readonly isOfEachWorker?: boolean;
  readonly columns: readonly ColumnOf<Row>[];
  readonly rows: (sources: ConsoleSources) => Iterable<Row> | Promise<Iterable<Row>>;
}

const WORKER: ShowColumn = {
  name: "worker",
  type: "integer",
  help: "Which of the processes tells it, from 1; see `serve --workers`.",
};

export function show<Row>(parts: ShowOf<Row>): Show {
  const { rows, columns, isForAdmins = false, isOfEachWorker = false, ...rest } = parts;
  return {
    ...rest,
    isForAdmins,
    isOfEachWorker,
    columns: isOfEachWorker ? [...columns, WORKER] : columns,
    rows: async (sources) => {
      const found = [...(await rows(sources))];
      const last = isOfEachWorker ? [sources.process.worker] : [];
      return found.map((row) => [...columns.map(({ value }) => value(row)), ...last]);
    },
  };
}
