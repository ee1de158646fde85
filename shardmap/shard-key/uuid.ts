/** uuid key values, as utils/adt/uuid.c reads and prints them. */

export const UUID_OID = 2950;

/**
 * uuid_in: 32 hexadecimal digits of either case, in braces or not, with a hyphen or none
 * after each group of four. No blanks.
 */
const SPELLINGS = /^(\{?)[0-9a-fA-F]{4}(?:-?[0-9a-fA-F]{4}){7}(\}?)$/;

export function readUuid(text: string): Buffer | "invalid" {
  const match = SPELLINGS.exec(text);
  if (match === null || (match[1] === "{") !== (match[2] === "}")) return "invalid";
  return Buffer.from(text.replace(/[{}-]/g, ""), "hex");
}

export function readUuidBytes(bytes: Buffer): Buffer | "invalid" {
  return bytes.length === 16 ? bytes : "invalid";
}

/** Lower case with hyphens, as uuid_out. */
export function printUuid(bytes: Buffer): string {
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
