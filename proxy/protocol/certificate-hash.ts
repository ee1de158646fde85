/**
 * The channel binding `tls-server-end-point` (RFC 5929, section 4.1): the hash of the server's
 * certificate by the hash function of the certificate's own signature, SHA-256 in place of
 * MD5 and SHA-1. Node names the signature algorithm only in late versions, so it is read
 * from the certificate's DER here.
 */
import { createHash } from "node:crypto";

/** The DER contents of signature OIDs, in hex, by the hash each implies. */
const HASH_OF_SIGNATURE: ReadonlyMap<string, string> = new Map([
  ["2a864886f70d010104", "sha256"], // md5WithRSAEncryption
  ["2a864886f70d010105", "sha256"], // sha1WithRSAEncryption
  ["2a864886f70d01010e", "sha224"], // sha224WithRSAEncryption
  ["2a864886f70d01010b", "sha256"], // sha256WithRSAEncryption
  ["2a864886f70d01010c", "sha384"], // sha384WithRSAEncryption
  ["2a864886f70d01010d", "sha512"], // sha512WithRSAEncryption
  ["2a8648ce3d0401", "sha256"], // ecdsa-with-SHA1
  ["2a8648ce3d040301", "sha224"], // ecdsa-with-SHA224
  ["2a8648ce3d040302", "sha256"], // ecdsa-with-SHA256
  ["2a8648ce3d040303", "sha384"], // ecdsa-with-SHA384
  ["2a8648ce3d040304", "sha512"], // ecdsa-with-SHA512
]);

/** RSASSA-PSS names its hash in its parameters; without them it is SHA-1. */
const RSASSA_PSS = "2a864886f70d01010a";
const HASH_OF_PSS_PARAMETER: ReadonlyMap<string, string> = new Map([
  ["2b0e03021a", "sha256"], // id-sha1
  ["608648016503040204", "sha224"],
  ["608648016503040201", "sha256"],
  ["608648016503040202", "sha384"],
  ["608648016503040203", "sha512"],
]);

/**
 * The hash a SCRAM-SHA-256-PLUS exchange binds to, or undefined where the signature has no
 * hash function (Ed25519) or none known: then PLUS is neither offered nor chosen.
 */
export function certificateHash(certificate: Buffer): Buffer | undefined {
  const hash = signatureHash(certificate);
  return hash === undefined ? undefined : createHash(hash).update(certificate).digest();
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, … } */
function signatureHash(certificate: Buffer): string | undefined {
  const outer = readElement(certificate, 0);
  const signed = outer && readElement(certificate, outer.start);
  const algorithm = signed && readElement(certificate, signed.end);
  const name = algorithm && readElement(certificate, algorithm.start);
  if (algorithm === undefined || name === undefined) return undefined;
  const oid = certificate.toString("hex", name.start, name.end);
  if (oid !== RSASSA_PSS) return HASH_OF_SIGNATURE.get(oid);
  return pssHash(certificate, name.end, algorithm.end);
}

/** RSASSA-PSS-params ::= SEQUENCE { [0] AlgorithmIdentifier DEFAULT sha1, … } */
function pssHash(certificate: Buffer, start: number, end: number): string | undefined {
  const parameters = start < end ? readElement(certificate, start) : undefined;
  if (parameters === undefined) return "sha256";
  const tagged = readElement(certificate, parameters.start);
  if (tagged === undefined || tagged.tag !== 0xa0 || parameters.start === parameters.end) {
    return "sha256";
  }
  const identifier = readElement(certificate, tagged.start);
  const name = identifier && readElement(certificate, identifier.start);
  return name && HASH_OF_PSS_PARAMETER.get(certificate.toString("hex", name.start, name.end));
}

interface Element {
  readonly tag: number;
  /** The contents are `[start, end)`. */
  readonly start: number;
  readonly end: number;
}

/** One DER element; undefined where it does not fit into the certificate. */
function readElement(der: Buffer, at: number): Element | undefined {
  const tag = der[at];
  const short = der[at + 1];
  if (tag === undefined || short === undefined) return undefined;
  if (short < 0x80) return element(der, tag, at + 2, short);
  const lengthBytes = short & 0x7f;
  if (lengthBytes < 1 || lengthBytes > 4 || at + 2 + lengthBytes > der.length) return undefined;
  return element(der, tag, at + 2 + lengthBytes, der.readUIntBE(at + 2, lengthBytes));
}

function element(der: Buffer, tag: number, start: number, length: number): Element | undefined {
  const end = start + length;
  return end <= der.length ? { tag, start, end } : undefined;
}
