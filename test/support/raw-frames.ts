/**
 * Frontend messages as bytes, and the bodies of backend messages as data, written apart
 * from `proxy/protocol`: a fault in the codec under test must not hide in its test.
 *
 * Source: PostgreSQL manual, "Message Formats". It checks nothing; tests may send nonsense.
 */

export interface BackendMessage {
  /** One letter, as in the manual. */
  readonly type: string;
  readonly body: Buffer;
}

export interface Column {
  readonly name: string;
  readonly tableOid: number;
  readonly attribute: number;
  readonly typeOid: number;
  readonly typeSize: number;
  readonly typmod: number;
  readonly format: number;
}

export interface Parameter {
  /** 0 leaves the type to the server. */
  readonly typeOid: number;
  readonly format: 0 | 1;
  readonly value: Buffer | null;
}

export function frame(type: string, ...parts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, 0, "latin1");
  header.writeUInt32BE(
    parts.reduce((bytes, part) => bytes + part.length, 4),
    1,
  );
  return Buffer.concat([header, ...parts]);
}

export function startupFrame(parameters: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [
    cstring(name),
    cstring(value),
  ]);
  const body = Buffer.concat([uint32(0x0003_0000), ...pairs, Buffer.alloc(1)]);
  return Buffer.concat([uint32(body.length + 4), body]);
}

export function cancelFrame(processId: number, secretKey: Buffer): Buffer {
  return Buffer.concat([
    uint32(12 + secretKey.length),
    uint32(80877102),
    uint32(processId),
    secretKey,
  ]);
}

export const queryFrame = (sql: string): Buffer => frame("Q", cstring(sql));
export const syncFrame = (): Buffer => frame("S");
export const flushFrame = (): Buffer => frame("H");
export const terminateFrame = (): Buffer => frame("X");

export function parseFrame(statement: string, sql: string, typeOids: readonly number[]): Buffer {
  return frame(
    "P",
    cstring(statement),
    cstring(sql),
    uint16(typeOids.length),
    ...typeOids.map(uint32),
  );
}

export function bindFrame(
  portal: string,
  statement: string,
  parameters: readonly Parameter[],
  resultFormats: readonly (0 | 1)[],
): Buffer {
  const values = parameters.flatMap(({ value }) =>
    value === null ? [uint32(0xffff_ffff)] : [uint32(value.length), value],
  );
  return frame(
    "B",
    cstring(portal),
    cstring(statement),
    uint16(parameters.length),
    ...parameters.map(({ format }) => uint16(format)),
    uint16(parameters.length),
    ...values,
    uint16(resultFormats.length),
    ...resultFormats.map(uint16),
  );
}

export function describeFrame(target: "S" | "P", name: string): Buffer {
  return frame("D", Buffer.from(target), cstring(name));
}

export function executeFrame(portal: string, rowsMax: number): Buffer {
  return frame("E", cstring(portal), uint32(rowsMax));
}

export function closeFrame(target: "S" | "P", name: string): Buffer {
  return frame("C", Buffer.from(target), cstring(name));
}

export function readColumns(body: Buffer): Column[] {
  const columns: Column[] = [];
  let offset = 2;
  for (let index = body.readUInt16BE(0); index > 0; index--) {
    const end = body.indexOf(0, offset);
    const at = end + 1;
    columns.push({
      name: body.toString("utf8", offset, end),
      tableOid: body.readUInt32BE(at),
      attribute: body.readInt16BE(at + 4),
      typeOid: body.readUInt32BE(at + 6),
      typeSize: body.readInt16BE(at + 10),
      typmod: body.readInt32BE(at + 12),
      format: body.readInt16BE(at + 16),
    });
    offset = at + 18;
  }
  return columns;
}

export function readRow(body: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = [];
  let offset = 2;
  for (let index = body.readUInt16BE(0); index > 0; index--) {
    const length = body.readInt32BE(offset);
    offset += 4;
    values.push(length < 0 ? null : body.subarray(offset, offset + length));
    offset += Math.max(length, 0);
  }
  return values;
}

export function readTypeOids(body: Buffer): number[] {
  return Array.from({ length: body.readUInt16BE(0) }, (_, index) =>
    body.readUInt32BE(2 + 4 * index),
  );
}

/** Fields of ErrorResponse and NoticeResponse by their letter. */
export function readFields(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  let offset = 0;
  while (body[offset] !== 0) {
    const end = body.indexOf(0, offset + 1);
    fields[body.toString("latin1", offset, offset + 1)] = body.toString("utf8", offset + 1, end);
    offset = end + 1;
  }
  return fields;
}

export function readCstrings(body: Buffer): string[] {
  return body.toString("utf8", 0, Math.max(body.length - 1, 0)).split("\0");
}

export function cstring(text: string): Buffer {
  return Buffer.concat([Buffer.from(text), Buffer.alloc(1)]);
}

export function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}
