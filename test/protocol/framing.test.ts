import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { InvariantViolation } from "../../base/invariant.ts";
import { ProtocolViolation } from "../../base/sql-error.ts";
import { BackendRunReader, runBody } from "../../proxy/protocol/backend-run-reader.ts";
import { FrameReader } from "../../proxy/protocol/frame-reader.ts";
import { encodeToBuffer, FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import { encodeQuery } from "../../proxy/protocol/frontend/query.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

interface Sent {
  readonly type: number;
  readonly body: Buffer;
}

function bytesOf(frames: readonly Sent[]): Buffer {
  const writer = new FrameWriter();
  for (const { type, body } of frames) writer.begin(type).bytes(body).end();
  return writer.take();
}

/** Cuts at the given places; each piece is a Buffer of its own, as a socket gives it. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted(
    (a, b) => a - b,
  );
  const edges = [0, ...places, bytes.length];
  return edges.slice(1).map((end, index) => Buffer.from(bytes.subarray(edges[index], end)));
}

const D = "D".charCodeAt(0);
const C = "C".charCodeAt(0);
const type = fc.constantFrom(D, C, "d".charCodeAt(0), "Z".charCodeAt(0), 0, 255);
const body = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
const frames = fc.array(fc.record({ type, body }), { maxLength: 30 });
const cuts = fc.array(fc.nat(20_000), { maxLength: 40 });

describe("FrameReader", () => {
  test("however the stream is cut, the frames are the same", () => {
    fc.assert(
      fc.property(frames, cuts, (sent, places) => {
        const reader = new FrameReader(1_000);
        const read: Sent[] = [];
        for (const piece of pieces(bytesOf(sent), places)) {
          reader.append(piece);
          for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
            read.push(frame);
          }
        }
        // Compared only now: what was handed out must have stayed as it was.
        expect(read).toEqual(sent);
        expect(reader.bufferedBytes).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test("a length below its own four bytes, or over the limit, is a violation at once", () => {
    for (const length of [-1, 0, 3, 105, 0x7fffffff]) {
      const header = Buffer.alloc(5, "Q");
      header.writeInt32BE(length, 1);
      const reader = new FrameReader(100);
      reader.append(header);
      expect(() => reader.next()).toThrow(ProtocolViolation);
      expect(() => reader.next()).toThrow(ProtocolViolation);
    }
  });

  test("the limit can be raised once the client is known", () => {
    const bytes = bytesOf([{ type: C, body: Buffer.alloc(200) }]);
    const reader = new FrameReader(100);
    reader.append(bytes);
    expect(() => reader.next()).toThrow(ProtocolViolation);
    reader.setBodyBytesMax(200);
    expect(reader.next()?.body.length).toBe(200);
  });

  test("a claimed length allocates nothing; memory follows what arrives", () => {
    const allocated = countAllocations();
    const reader = new FrameReader(2 ** 30);
    reader.append(Buffer.from("513fffffff", "hex"));
    for (let index = 0; index < 1_000; index++) {
      expect(reader.next()).toBeUndefined();
      reader.append(Buffer.alloc(100));
    }
    expect(reader.bufferedBytes).toBe(100_005);
    expect(allocated.largest()).toBeLessThan(4 * 100_005);
  });
});

describe("copies are linear in the bytes, however finely they arrive", () => {
  for (const [name, make] of [
    ["FrameReader", () => new FrameReader(2 ** 30)],
    ["BackendRunReader", () => new BackendRunReader()],
  ] as const) {
    test.each([1, 7, 1_000])(`${name}, pieces of %i bytes`, (size) => {
      const bytes = bytesOf([{ type: D, body: Buffer.alloc(60_000, 1) }]);
      const copied = countCopies();
      const reader = make();
      for (let start = 0; start < bytes.length; start += size) {
        expect(reader.next()).toBeUndefined();
        reader.append(bytes.subarray(start, start + size));
      }
      expect(reader.next()).toBeDefined();
      expect(copied()).toBeLessThan(4 * bytes.length);
    });
  }
});

function countCopies(): () => number {
  let copied = 0;
  const original = Buffer.prototype.copy;
  vi.spyOn(Buffer.prototype, "copy").mockImplementation(function copy(this: Buffer, ...args) {
    const count = original.apply(this, args);
    copied += count;
    return count;
  });
  return () => copied;
}

function countAllocations(): { readonly largest: () => number } {
  let largest = 0;
  const original = Buffer.allocUnsafeSlow.bind(Buffer);
  vi.spyOn(Buffer, "allocUnsafeSlow").mockImplementation((size) => {
    largest = Math.max(largest, size);
    return original(size);
  });
  return { largest: () => largest };
}

describe("BackendRunReader", () => {
  test("runs are the stream, whole frames, and rows of one arrival are one run", () => {
    fc.assert(
      fc.property(frames, cuts, (sent, places) => {
        const reader = new BackendRunReader();
        const runs: Buffer[] = [];
        let count = 0;
        const bytes = bytesOf(sent);
        for (const piece of pieces(bytes, places)) {
          reader.append(piece);
          let previous: number | undefined;
          for (let run = reader.next(); run !== undefined; run = reader.next()) {
            expect(run.bytes[0]).toBe(run.type);
            const isRows = run.type === D || run.type === "d".charCodeAt(0);
            expect(isRows || run.count === 1).toBe(true);
            expect(isRows && run.type === previous).toBe(false);
            expect(countFrames(run.bytes)).toBe(run.count);
            previous = run.type;
            runs.push(run.bytes);
            count += run.count;
          }
        }
        expect(Buffer.concat(runs).equals(bytes)).toBe(true);
        expect(count).toBe(sent.length);
      }),
      { numRuns: 500 },
    );
  });

  test("a run of rows has no single body", () => {
    const row = { type: D, body: Buffer.from([0, 0]) };
    const reader = new BackendRunReader();
    reader.append(bytesOf([row, row, { type: C, body: Buffer.from("x\0") }]));
    const rows = reader.next();
    expect(rows?.count).toBe(2);
    expect(() => rows && runBody(rows)).toThrow(InvariantViolation);
    const complete = reader.next();
    expect(complete && runBody(complete).toString()).toBe("x\0");
  });

  test("a broken length behind good rows is met after them", () => {
    const reader = new BackendRunReader();
    const row = bytesOf([{ type: D, body: Buffer.from([0, 0]) }]);
    reader.append(
      Buffer.concat([
        row,
        bytesOf([{ type: C, body: Buffer.alloc(0) }]),
        Buffer.from("4400000003", "hex"),
      ]),
    );
    expect(reader.next()?.type).toBe(D);
    expect(reader.next()?.type).toBe(C);
    expect(() => reader.next()).toThrow(ProtocolViolation);
  });
});

function countFrames(bytes: Buffer): number {
  const reader = new FrameReader(2 ** 30);
  reader.append(bytes);
  let count = 0;
  while (reader.next() !== undefined) count++;
  expect(reader.bufferedBytes).toBe(0);
  return count;
}

describe("FrameWriter", () => {
  test("what was taken is never overwritten", () => {
    const writer = new FrameWriter();
    const taken: { readonly bytes: Buffer; readonly copy: Buffer }[] = [];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), (content) => {
        const bytes = writer.begin(D).bytes(Buffer.from(content)).end().take();
        taken.push({ bytes, copy: Buffer.from(bytes) });
        expect(bytes.subarray(5).equals(content)).toBe(true);
      }),
      { numRuns: 300 },
    );
    for (const { bytes, copy } of taken) expect(bytes.equals(copy)).toBe(true);
  });

  test("a frame that outgrows the arena keeps its beginning and its length", () => {
    const writer = new FrameWriter();
    writer.begin(C).bytes(Buffer.alloc(16_000, 1)).end();
    writer.begin(D);
    for (let index = 0; index < 100; index++) writer.int32(index).cstring("x".repeat(500)).byte(7);
    const bytes = writer.end().take();
    expect(countFrames(bytes)).toBe(2);
    expect(bytes.length).toBe(5 + 16_000 + 5 + 100 * (4 + 501 + 1));
    expect(bytes[16_005]).toBe(D);
  });

  test("a message that cannot be encoded leaves nothing to the next", () => {
    expect(() => encodeToBuffer(encodeQuery, { kind: "query", sql: "a\0b" })).toThrow(
      InvariantViolation,
    );
    const large = "x".repeat(100_000);
    const bytes = encodeToBuffer(encodeQuery, { kind: "query", sql: large });
    const next = encodeToBuffer(encodeQuery, { kind: "query", sql: "b" });
    expect(next).toEqual(Buffer.from("Q\0\0\0\x06b\0", "latin1"));
    expect(bytes.length).toBe(large.length + 6);
    // What a large message has grown is not kept for the small ones.
    expect(next.buffer.byteLength).toBeLessThan(large.length);
  });

  test("misuse is our own fault, and says the rule", () => {
    expect(() => new FrameWriter().cstring("a\0b")).toThrow("holds no zero byte");
    expect(() => new FrameWriter().end()).toThrow(InvariantViolation);
    expect(() => new FrameWriter().begin(C).take()).toThrow("only whole frames are taken");
    expect(() => new FrameWriter().begin(C).begin(C)).toThrow("frames do not nest");
  });
});
