/** What `migrate status` prints of copying and of streams. */
import { expect, test } from "vitest";
import { copyLine, streamLine } from "../../cli/migrate/progress.ts";

const COPY = { rows: 2_500, ofRows: 10_000, bytes: 123_456, rowsPerSecond: 100, secondsLeft: 75 };

test("a bar, rows, bytes, rate and time left, where they are known", () => {
  expect(copyLine(COPY)).toBe(
    "  [#######.......................] 25 %  2500 of about 10000 rows, 121 kB, 100 rows/s, 1 min 15 s left",
  );
  expect(copyLine({ ...COPY, bytes: 20 * 1024 ** 3, secondsLeft: 7_265 })).toMatch(
    /, 20 GB, 100 rows\/s, 2 h 1 min left$/,
  );
  expect(copyLine({ ...COPY, rows: 0, ofRows: 0, bytes: 0, secondsLeft: undefined })).toBe(
    "  [..............................] 0 %  0 of about 0 rows, 0 B, 100 rows/s",
  );
});

test("a stream's log; on the way back nothing is copied", () => {
  const stream = { move: "m", target: "users2", copiedRows: 7, copiedBytes: 70, behindBytes: 9 };
  expect(streamLine({ ...stream, direction: "forward", heldBytes: 16_384 })).toBe(
    "  m into users2: 7 rows copied (70 B), 9 B of log behind, 16 kB of it held",
  );
  expect(streamLine({ ...stream, direction: "back", heldBytes: 0 })).toBe(
    "  m into users2: on the way back 9 B of log behind, 0 B of it held",
  );
});
