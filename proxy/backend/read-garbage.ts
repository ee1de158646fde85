/**
 * Keeps what was read and is done with from piling up. Each read of a server's socket is a
 * buffer outside of the JavaScript heap that is garbage a moment later; V8 lets 64 MB of them
 * come together before it looks, and the allocator gives little of that back, so that a
 * proxy of 150 MB that streams would be one of 250.
 *
 * A collection of the young generation takes less than a millisecond, and the buffers that it
 * frees are used again at once: reading a megabyte took 2 to 5 ms of fresh memory before, and
 * takes 0.2 to 0.5, the collection included.
 */
import { READ_GARBAGE_BYTES_MAX } from "../../base/limits.ts";
import { collectGarbage } from "./collect-garbage.ts";

let byteCount = 0;

/** To be told of everything that is read of servers, and of what it is copied into. */
export function countBuffers(bytes: number): void {
  byteCount += bytes;
  if (byteCount < READ_GARBAGE_BYTES_MAX) return;
  byteCount = 0;
  collectGarbage("minor");
}
