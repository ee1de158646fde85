/**
 * PostgreSQL's partition hash, bit for bit: what PARTITION BY HASH, and so
 * satisfies_hash_partition(), computes for a row of key values.
 *
 *     hash = 0; for each key value: hash = hash_combine64(hash, hash<type>extended(value, SEED))
 *
 * Sources: src/common/hashfn.c (hash_bytes_extended, hash_bytes_uint32_extended: Jenkins'
 * lookup3), src/include/common/hashfn.h (hash_combine64), access/hash/hashfunc.c
 * (hashint8extended, hashtextextended), partitioning/partbounds.c
 * (compute_partition_hash_value). It is frozen: rows are stored where it says.
 *
 * 64-bit values are two unsigned 32-bit halves, held in module variables while one key is
 * hashed: BigInt arithmetic costs twenty times as much. NULL never reaches this file.
 */
import { unreachable } from "../../base/invariant.ts";
import type { KeyValue } from "../shard-key.ts";

/** HASH_PARTITION_SEED (partitioning/partbounds.h): 8816678312871386365. */
export const HASH_PARTITION_SEED = 0x7a5b22367996dcfdn;
const SEED_HIGH = Number(HASH_PARTITION_SEED >> 32n) | 0;
const SEED_LOW = Number(HASH_PARTITION_SEED & 0xffffffffn) | 0;

/** The constant of hash_combine64. */
export const HASH_COMBINE_CONSTANT = 0x49a0f4dd15e5a8e3n;
const COMBINE_HIGH = Number(HASH_COMBINE_CONSTANT >> 32n);
const COMBINE_LOW = Number(HASH_COMBINE_CONSTANT & 0xffffffffn);

/** 0x9e3779b9 + 3923095, to which lookup3 adds the length in bytes. */
const INITIAL = 0x9e3779b9 + 3923095;

const TWO_TO_32 = 0x1_0000_0000;

/** lookup3's three registers; after `final`, b is the high and c the low half of the hash. */
let a = 0;
let b = 0;
let c = 0;

/** The row's hash so far. */
let rowHigh = 0;
let rowLow = 0;

/** The unsigned 64-bit partition hash of a row's key values, modulo `modulus` (1 to 2^21: above, the product is not exact). */
export function partitionHashModulo(key: readonly KeyValue[], modulus: number): number {
  hashRow(key);
  return rowModulo(modulus);
}

function rowModulo(modulus: number): number {
  return ((rowHigh % modulus) * (TWO_TO_32 % modulus) + (rowLow % modulus)) % modulus;
}

/** As `partitionHashModulo`, of one integer inside of int4. */
export function integerHashModulo(value: number, modulus: number): number {
  rowHigh = 0;
  rowLow = 0;
  // Of a value that its low half says whole, folding in the high one changes nothing (hashHalves).
  hashUint32(value);
  combine();
  return rowModulo(modulus);
}

/** The whole 64-bit partition hash, unsigned: for golden vectors and tools, not for routing. */
export function partitionHash(key: readonly KeyValue[]): bigint {
  hashRow(key);
  return (BigInt(rowHigh) << 32n) | BigInt(rowLow);
}

function hashRow(key: readonly KeyValue[]): void {
  rowHigh = 0;
  rowLow = 0;
  for (const value of key) {
    hashValue(value);
    combine();
  }
}

function hashValue(value: KeyValue): void {
  switch (value.kind) {
    case "integer":
      return hashInteger(value.value);
    case "date":
      return hashUint32(value.days);
    case "timestamptz":
      return hashInteger(value.microseconds);
    case "uuid":
    case "text":
      return hashBytes(value.bytes);
    default:
      return unreachable(value);
  }
}

/**
 * hashint8extended: the high half is folded into the low one so that equal smallint,
 * integer and bigint values hash alike. timestamptz hashes its microseconds the same way.
 */
function hashInteger(value: bigint): void {
  const approximate = Number(value);
  if (Number.isSafeInteger(approximate)) {
    hashHalves(Math.floor(approximate / TWO_TO_32) | 0, approximate | 0);
  } else {
    hashHalves(Number(value >> 32n) | 0, Number(BigInt.asIntN(32, value)));
  }
}

function hashHalves(high: number, low: number): void {
  hashUint32(low ^ (high >= 0 ? high : ~high));
}

/** hash_bytes_uint32_extended. */
function hashUint32(value: number): void {
  start(4);
  a = (a + value) | 0;
  final();
}

/** hash_bytes_extended, with its words read as little-endian (PostgreSQL's own platforms do). */
function hashBytes(bytes: Buffer): void {
  start(bytes.length);
  let at = 0;
  let left = bytes.length;
  for (; left >= 12; at += 12, left -= 12) {
    a = (a + bytes.readInt32LE(at)) | 0;
    b = (b + bytes.readInt32LE(at + 4)) | 0;
    c = (c + bytes.readInt32LE(at + 8)) | 0;
    mix();
  }
  // The lowest byte of c is the length's, so the last three bytes begin at its second.
  for (let index = 0; index < left; index++) {
    const byte = bytes[at + index] ?? 0;
    if (index < 4) a = (a + (byte << (8 * index))) | 0;
    else if (index < 8) b = (b + (byte << (8 * (index - 4)))) | 0;
    else c = (c + (byte << (8 * (index - 7)))) | 0;
  }
  final();
}

/** Sets the registers for a key of `lengthBytes` under the partition seed. */
function start(lengthBytes: number): void {
  a = b = c = (INITIAL + lengthBytes) | 0;
  a = (a + SEED_HIGH) | 0;
  b = (b + SEED_LOW) | 0;
  mix();
}

/** hash_combine64: row ^= hash + 0x49a0f4dd15e5a8e3 + (row << 54) + (row >> 7). */
function combine(): void {
  const shiftedLeftHigh = (rowLow << 22) >>> 0;
  const shiftedRightHigh = rowHigh >>> 7;
  const shiftedRightLow = ((rowLow >>> 7) | (rowHigh << 25)) >>> 0;

  const low = (c >>> 0) + COMBINE_LOW + shiftedRightLow;
  const carry = Math.floor(low / TWO_TO_32);
  const high = (b >>> 0) + COMBINE_HIGH + shiftedLeftHigh + shiftedRightHigh + carry;

  rowHigh = (rowHigh ^ (high % TWO_TO_32)) >>> 0;
  rowLow = (rowLow ^ (low % TWO_TO_32)) >>> 0;
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function mix(): void {
  a = (a - c) ^ rotate(c, 4);
  c = (c + b) | 0;
  b = (b - a) ^ rotate(a, 6);
  a = (a + c) | 0;
  c = (c - b) ^ rotate(b, 8);
  b = (b + a) | 0;
  a = (a - c) ^ rotate(c, 16);
  c = (c + b) | 0;
  b = (b - a) ^ rotate(a, 19);
  a = (a + c) | 0;
  c = (c - b) ^ rotate(b, 4);
  b = (b + a) | 0;
}

function final(): void {
  c = ((c ^ b) - rotate(b, 14)) | 0;
  a = ((a ^ c) - rotate(c, 11)) | 0;
  b = ((b ^ a) - rotate(a, 25)) | 0;
  c = ((c ^ b) - rotate(b, 16)) | 0;
  a = ((a ^ c) - rotate(c, 4)) | 0;
  b = ((b ^ a) - rotate(a, 14)) | 0;
  c = ((c ^ b) - rotate(b, 24)) | 0;
}
