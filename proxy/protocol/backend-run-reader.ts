/**
 * Cuts a backend's byte stream into runs, so that rows pass through unseen.
 *
 * Back-to-back DataRow frames (and CopyData frames) that have arrived form one run: only
 * their headers are walked, and no object is made for a row. Every other message is a run
 * of one. A run's bytes are whole frames, headers included, ready to be written as they are.
 *
 * It knows nothing of what messages mean. A run is a view: keeping one keeps its chunk.
 */
import { invariant } from "../../base/invariant.ts";
import { BACKEND_FRAME_BYTES_MAX } from "../../base/limits.ts";
import { ArrivedBytes } from "./arrived-bytes.ts";
import { FRAME_HEADER_BYTES, frameBodyBytes } from "./frame-reader.ts";
import { BACKEND_TYPE } from "./message-type.ts";

export interface BackendRun {
  /** The character code shared by all frames of the run. */
  readonly type: number;
  /** Whole frames, headers included. */
  readonly bytes: Buffer;
  /** How many frames: more than 1 only for DataRow and CopyData. */
  readonly count: number;
}

export class BackendRunReader {
  readonly #arrived = new ArrivedBytes();
  readonly #bodyBytesMax: number;

  constructor(bodyBytesMax: number = BACKEND_FRAME_BYTES_MAX) {
    this.#bodyBytesMax = bodyBytesMax;
  }

  /** Bytes that arrived and were not handed out yet. */
  get bufferedBytes(): number {
    return this.#arrived.length;
  }

  /** Takes the chunk over: the caller must not write into it again. */
  append(chunk: Buffer): void {
    this.#arrived.append(chunk);
  }

  /** The next run, or undefined until more is appended. Throws ProtocolViolation, and then for good. */
  next(): BackendRun | undefined {
    const { bytes, start, end } = this.#arrived;
    const firstEnd = this.#frameEnd(start);
    if (firstEnd === undefined) return undefined;
    const type = bytes.readUInt8(start);
    let runEnd = firstEnd;
    let count = 1;
    if (type === BACKEND_TYPE.dataRow || type === BACKEND_TYPE.copyData) {
      while (runEnd < end && bytes[runEnd] === type) {
        const nextEnd = this.#frameEnd(runEnd);
        if (nextEnd === undefined) break;
        runEnd = nextEnd;
        count++;
      }
    }
    this.#arrived.consume(runEnd - start);
    return { type, bytes: bytes.subarray(start, runEnd), count };
  }

  /** Where the frame that starts here ends, or undefined while it is not whole. */
  #frameEnd(frameStart: number): number | undefined {
    const { bytes, end } = this.#arrived;
    if (end - frameStart < FRAME_HEADER_BYTES) return undefined;
    const frameEnd =
      frameStart + FRAME_HEADER_BYTES + frameBodyBytes(bytes, frameStart, this.#bodyBytesMax);
    return frameEnd <= end ? frameEnd : undefined;
  }
}

/** The body of a run of one, for the message's decoder. */
export function runBody(run: BackendRun): Buffer {
  invariant(run.count === 1, "only a run of one frame has a body of its own");
  return run.bytes.subarray(FRAME_HEADER_BYTES);
}
