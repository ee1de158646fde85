/** Array parameters of `key = ANY ($1)`, in both formats; hostile ones are left unproven. */
import { expect, test } from "vitest";
import { binaryElements, textElements } from "../../planner/key-arrays.ts";

const texts = (text: string) => textElements(text)?.map((element) => element?.toString() ?? null);

test("plain lists are read", () => {
  expect(texts("{}")).toEqual([]);
  expect(texts(" { } ")).toEqual([]);
  expect(texts("{1,2}")).toEqual(["1", "2"]);
  expect(texts("{ 1 , NULL,null }")).toEqual(["1", null, null]);
  expect(texts('{"NULL","a b","c,d","e\\"f","g\\\\h"}')).toEqual([
    "NULL",
    "a b",
    "c,d",
    'e"f',
    "g\\h",
  ]);
  expect(texts("{a b}")).toEqual(["a b"]);
  expect(texts('{""}')).toEqual([""]);
});

test.each([
  "",
  "1",
  "{1",
  "{1,",
  "{1,}",
  "{,1}",
  "{{1},{2}}",
  "[2:3]={1,2}",
  "{1}x",
  '{"a}',
  "{a\\b}",
  '{a"b"}',
])("%s is left to the server", (text) => {
  expect(textElements(text)).toBeUndefined();
});

function int8Array(values: readonly (bigint | null)[], dimensions = [values.length]): Buffer {
  const header = Buffer.alloc(12 + dimensions.length * 8);
  header.writeInt32BE(dimensions.length, 0);
  header.writeUInt32BE(20, 8);
  for (const [index, length] of dimensions.entries()) {
    header.writeInt32BE(length, 12 + index * 8);
    header.writeInt32BE(1, 16 + index * 8);
  }
  const elements = values.map((value) => {
    const element = Buffer.alloc(value === null ? 4 : 12);
    element.writeInt32BE(value === null ? -1 : 8, 0);
    if (value !== null) element.writeBigInt64BE(value, 4);
    return element;
  });
  return Buffer.concat([header, ...elements]);
}

const numbers = (bytes: Buffer) =>
  binaryElements(bytes, 20)?.map((element) => element?.readBigInt64BE() ?? null);

test("binary arrays are read, whatever their dimensions", () => {
  expect(numbers(int8Array([], []))).toEqual([]);
  expect(numbers(int8Array([1n, null, -3n]))).toEqual([1n, null, -3n]);
  expect(numbers(int8Array([1n, 2n, 3n, 4n], [2, 2]))).toEqual([1n, 2n, 3n, 4n]);
});

test("binary arrays that are cut, overlong, of another type or of wild lengths are left to the server", () => {
  const whole = int8Array([1n, 2n]);
  for (let length = 0; length < whole.length; length++)
    expect(binaryElements(whole.subarray(0, length), 20)).toBeUndefined();
  expect(binaryElements(Buffer.concat([whole, Buffer.alloc(1)]), 20)).toBeUndefined();
  expect(binaryElements(whole, 23)).toBeUndefined();
  expect(binaryElements(int8Array([1n], [2 ** 31 - 1]), 20)).toBeUndefined();
  expect(binaryElements(int8Array([1n], [-1]), 20)).toBeUndefined();
});
