/**
 * Copies of what is about to be written: a read buffer is read into again, and a write may
 * finish later. Memory is taken from an arena that is only ever written forward, so a copy
 * stays as it is for as long as a socket keeps it, and a short one costs no allocation.
 */

const ARENA_BYTES = 64 * 1024;

/** A larger copy has memory of its own: it would leave too much of an arena unused. */
const SHARE_BYTES_MAX = ARENA_BYTES / 4;

/** Below it a loop is faster than the call that copies. */
const LOOP_BYTES_MAX = 48;

let arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
let used = 0;

/** `kept` and `bytes[start, end)` as one, where `kept` was copied last and there is room behind it; else undefined. */
export function keptAppend(
  kept: Buffer,
  bytes: Buffer,
  start: number,
  end: number,
): Buffer | undefined {
  const from = kept.byteOffset;
  const isLast = kept.buffer === arena.buffer && from + kept.length === used;
  const length = end - start;
  if (!isLast || used + length > ARENA_BYTES) return undefined;
  bytes.copy(arena, used, start, end);
  used += length;
  return arena.subarray(from, used);
}

/** Room that is the caller's alone, to be filled at once. */
export function keptRoom(length: number): Buffer {
  if (length > SHARE_BYTES_MAX) return Buffer.allocUnsafeSlow(length);
  if (used + length > ARENA_BYTES) {
    arena = Buffer.allocUnsafeSlow(ARENA_BYTES);
    used = 0;
  }
  const at = used;
  used += length;
  return arena.subarray(at, used);
}

/** `bytes[start, end)`, which nobody writes into again. */
export function keptCopy(bytes: Buffer, start: number, end: number): Buffer {
  const length = end - start;
  const copy = keptRoom(length);
  if (length > LOOP_BYTES_MAX) bytes.copy(copy, 0, start, end);
  else for (let index = 0; index < length; index++) copy[index] = bytes[start + index] ?? 0;
  return copy;
}
