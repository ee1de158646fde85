/**
 * inet and cidr: IPv4 before IPv6, then the bits that both masks cover, then the shorter
 * mask, then the whole address (network.c, network_cmp_internal).
 */
import { unreadable } from "./value-type.ts";
import type { ValueType } from "./value-type.ts";

interface NetworkAddress {
  /** 4 or 6. */
  readonly version: number;
  readonly maskBits: number;
  readonly address: bigint;
}

/** PGSQL_AF_INET; PGSQL_AF_INET6 is the next number. */
const FAMILY_INET = 2;

export const inetType = networkType("inet", 0);
export const cidrType = networkType("cidr", 1);

function networkType(typeName: string, isCidr: 0 | 1): ValueType<NetworkAddress> {
  const parse = (text: string): NetworkAddress => {
    const [host = "", mask] = text.split("/");
    const version = host.includes(":") ? 6 : 4;
    const address = version === 6 ? parseIpv6(host) : parseIpv4(host);
    const maskBits = mask === undefined ? addressBits(version) : Number(mask);
    const isValid = maskBits >= 0 && maskBits <= addressBits(version);
    if (address === undefined || !isValid) throw unreadable(typeName);
    return { version, maskBits, address };
  };
  return {
    readText: (bytes, start, end) => parse(bytes.toString("latin1", start, end)),
    readBinary: (bytes, start, end) => {
      const version = bytes[start] === FAMILY_INET ? 4 : 6;
      if (end - start !== 4 + addressBits(version) / 8) throw unreadable(typeName);
      const address = BigInt(`0x${bytes.toString("hex", start + 4, end)}`);
      return { version, maskBits: bytes[start + 1] ?? 0, address };
    },
    compare: compareAddresses,
    identity: ({ version, maskBits, address }) => `${version}:${maskBits}:${address}`,
    textToBinary: (text) => {
      const { version, maskBits, address } = parse(text.toString("latin1"));
      const size = addressBits(version) / 8;
      const family = version === 4 ? FAMILY_INET : FAMILY_INET + 1;
      const digits = address.toString(16).padStart(2 * size, "0");
      return Buffer.concat([Buffer.of(family, maskBits, isCidr, size), Buffer.from(digits, "hex")]);
    },
  };
}

function compareAddresses(a: NetworkAddress, b: NetworkAddress): number {
  if (a.version !== b.version) return a.version - b.version;
  const uncovered = BigInt(addressBits(a.version) - Math.min(a.maskBits, b.maskBits));
  const networkA = a.address >> uncovered;
  const networkB = b.address >> uncovered;
  if (networkA !== networkB) return networkA < networkB ? -1 : 1;
  if (a.maskBits !== b.maskBits) return a.maskBits - b.maskBits;
  return a.address === b.address ? 0 : a.address < b.address ? -1 : 1;
}

function addressBits(version: number): number {
  return version === 4 ? 32 : 128;
}

function parseIpv4(text: string): bigint | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  return match?.slice(1).reduce((address, part) => address * 256n + BigInt(part), 0n);
}

/** At most one `::` stands for as many zeros as are missing; the last 32 bits may be written as IPv4. */
function parseIpv6(text: string): bigint | undefined {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const lowest = tail?.[2] === undefined ? undefined : parseIpv4(tail[2]);
  const hex =
    lowest === undefined
      ? text
      : `${tail?.[1]}${(lowest >> 16n).toString(16)}:${(lowest & 0xffffn).toString(16)}`;
  if (!/^[0-9a-f:]+$/.test(hex)) return undefined;

  const [left = "", right, ...rest] = hex.split("::");
  const before = left === "" ? [] : left.split(":");
  const after = right === undefined || right === "" ? [] : right.split(":");
  const missing = 8 - before.length - after.length;
  const isWhole = right === undefined ? missing === 0 : missing > 0;
  const groups = [...before, ...Array<string>(Math.max(missing, 0)).fill("0"), ...after];
  if (!isWhole || rest.length > 0 || !groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) {
    return undefined;
  }
  return BigInt(`0x${groups.map((group) => group.padStart(4, "0")).join("")}`);
}
