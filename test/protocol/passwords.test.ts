import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { generate } from "selfsigned";
import { describe, expect, test } from "vitest";
import { ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { certificateHash } from "../../proxy/protocol/certificate-hash.ts";
import { isMd5Response, isMd5Secret, md5Response, md5Secret } from "../../proxy/protocol/md5.ts";
import { saslprep } from "../../proxy/protocol/saslprep.ts";
import { ScramClient } from "../../proxy/protocol/scram-client.ts";
import type { ChannelBinding } from "../../proxy/protocol/scram-client.ts";
import { mockScramVerifier, ScramServer } from "../../proxy/protocol/scram-server.ts";
import {
  formatScramVerifier,
  makeScramVerifier,
  parseScramVerifier,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
} from "../../proxy/protocol/scram.ts";
import type { ScramVerifier } from "../../proxy/protocol/scram.ts";

/** RFC 7677, section 3. */
const RFC = {
  password: Buffer.from("pencil"),
  salt: Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64"),
  clientNonce: "rOprNGfwEbeRWgbNEkqO",
  serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
  clientFirst: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
  serverFirst:
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
  clientFinal:
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  serverFinal: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
};

const HASH = Buffer.alloc(32, 5);

async function serverOf(options: {
  readonly password?: string;
  readonly certificateHash?: Buffer;
  readonly isDoomed?: boolean;
}): Promise<ScramServer> {
  const password = Buffer.from(options.password ?? "pencil");
  return new ScramServer({
    verifier: await makeScramVerifier(password, RFC.salt, 1),
    isDoomed: options.isDoomed ?? false,
    nonce: RFC.serverNonce,
    certificateHash: options.certificateHash,
  });
}

function clientOf(password: string, channelBinding: ChannelBinding): ScramClient {
  return new ScramClient({
    password: Buffer.from(password),
    nonce: RFC.clientNonce,
    channelBinding,
  });
}

const UNBOUND: ChannelBinding = { kind: "unsupported" };

describe("RFC 7677's example", () => {
  test("as server", async () => {
    const server = new ScramServer({
      verifier: await makeScramVerifier(RFC.password, RFC.salt, 4096),
      isDoomed: false,
      nonce: RFC.serverNonce,
      certificateHash: undefined,
    });
    expect(server.first(SCRAM_SHA_256, Buffer.from(RFC.clientFirst)).toString()).toBe(
      RFC.serverFirst,
    );
    expect(server.final(Buffer.from(RFC.clientFinal))?.toString()).toBe(RFC.serverFinal);
  });

  test("as client, but for the user name, which PostgreSQL's clients leave empty", async () => {
    const client = clientOf("pencil", UNBOUND);
    expect(client.first().toString()).toBe(RFC.clientFirst.replace("n=user", "n="));
    const final = await client.final(Buffer.from(RFC.serverFirst));
    expect(final.toString().split(",p=")[0]).toBe(RFC.clientFinal.split(",p=")[0]);
  });
});

describe("client against server", () => {
  const bindings: readonly (readonly [ChannelBinding, Buffer | undefined])[] = [
    [UNBOUND, undefined],
    [UNBOUND, HASH],
    [{ kind: "notOffered" }, undefined],
    [{ kind: "tlsServerEndPoint", certificateHash: HASH }, HASH],
  ];

  test.each(bindings)("binding %j", async (binding, certificateHashOfServer) => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme" }), fc.string(), async (right, wrong) => {
        for (const password of [right, wrong]) {
          const server = await serverOf({
            password: right,
            ...(certificateHashOfServer && { certificateHash: certificateHashOfServer }),
          });
          const client = clientOf(password, binding);
          const serverFirst = server.first(client.mechanism, client.first());
          const serverFinal = server.final(await client.final(serverFirst));
          const isSame = saslprep(Buffer.from(password)).equals(saslprep(Buffer.from(right)));
          expect(serverFinal !== undefined).toBe(isSame);
          if (serverFinal !== undefined) client.verify(serverFinal);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("the server's own proof is checked", async () => {
    const server = await serverOf({});
    const client = clientOf("pencil", UNBOUND);
    const clientFinal = await client.final(server.first(SCRAM_SHA_256, client.first()));
    server.final(clientFinal);
    const forged = Buffer.from(`v=${Buffer.alloc(32).toString("base64")}`);
    expect(() => client.verify(forged)).toThrow("incorrect server signature");
  });

  test("an error of the server is told as its own", async () => {
    const server = await serverOf({});
    const client = clientOf("pencil", UNBOUND);
    await client.final(server.first(SCRAM_SHA_256, client.first()));
    expect(() => client.verify(Buffer.from("e=other-error"))).toThrow("other-error");
  });

  test("a mock verifier asks like a real one, twice the same, and lets nobody in", async () => {
    const secret = Buffer.alloc(32, 9);
    const verifier = mockScramVerifier("nobody", secret);
    expect(verifier).toEqual(mockScramVerifier("nobody", secret));
    expect(verifier.salt).not.toEqual(mockScramVerifier("somebody", secret).salt);
    expect([verifier.iterations, verifier.salt.length]).toEqual([4096, 16]);
    const doomed = await serverOf({ isDoomed: true });
    const client = clientOf("pencil", UNBOUND);
    const clientFinal = await client.final(doomed.first(SCRAM_SHA_256, client.first()));
    expect(doomed.final(clientFinal)).toBeUndefined();
  });
});

describe("channel binding", () => {
  test("another certificate than ours: somebody is in between", async () => {
    const server = await serverOf({ certificateHash: HASH });
    const certificateHashSeen = Buffer.alloc(32, 6);
    const client = clientOf("pencil", {
      kind: "tlsServerEndPoint",
      certificateHash: certificateHashSeen,
    });
    const clientFinal = await client.final(server.first(client.mechanism, client.first()));
    expect(() => server.final(clientFinal)).toThrow("SCRAM channel binding check failed");
  });

  test("a client that was told we cannot bind finds out that we can", async () => {
    const server = await serverOf({ certificateHash: HASH });
    const client = clientOf("pencil", { kind: "notOffered" });
    expect(() => server.first(SCRAM_SHA_256, client.first())).toThrow(SqlError);
  });

  test.each([
    [SCRAM_SHA_256_PLUS, "n,,n=,r=a", HASH],
    [SCRAM_SHA_256, "p=tls-server-end-point,,n=,r=a", HASH],
    [SCRAM_SHA_256_PLUS, "p=tls-unique,,n=,r=a", HASH],
    [SCRAM_SHA_256_PLUS, "p=tls-server-end-point,,n=,r=a", undefined],
    ["SCRAM-SHA-1", "n,,n=,r=a", undefined],
  ])("%s with %s is refused", async (mechanism, clientFirst, hash) => {
    const server = await serverOf(hash === undefined ? {} : { certificateHash: hash });
    expect(() => server.first(mechanism, Buffer.from(clientFirst))).toThrow(ProtocolViolation);
  });
});

describe("malformed messages", () => {
  test.each([
    "",
    "n",
    "n,",
    "n,,",
    "x,,n=,r=a",
    "n,a=b,n=,r=a",
    "n,,m=x,n=,r=a",
    "n,,n=",
    "n,,n=,r=",
    "n,,r=a,n=",
    "n,,n=,r=\u0001",
    "n,,n=,r=ä",
    "n,,n=,r=a,1=b",
  ])("client-first %j", async (message) => {
    const server = await serverOf({});
    expect(() => server.first(SCRAM_SHA_256, Buffer.from(message))).toThrow(ProtocolViolation);
  });

  test.each([
    "",
    "c=biws",
    "c=biws,r=x",
    RFC.clientFinal.replace("biws", "eSws"),
    RFC.clientFinal.replace("r=r", "r=s"),
    `${RFC.clientFinal},x=y`,
    RFC.clientFinal.replace(/p=.*/, "p=AAAA"),
    RFC.clientFinal.replace(/p=.*/, "p=*"),
    RFC.clientFinal.replace("VQ=", "VR="),
  ])("client-final %j", async (message) => {
    const server = await serverOf({});
    server.first(SCRAM_SHA_256, Buffer.from(RFC.clientFirst));
    expect(() => server.final(Buffer.from(message))).toThrow(ProtocolViolation);
  });

  test.each([
    "",
    "r=x,s=AAAA,i=1",
    `r=${RFC.clientNonce},s=AAAA,i=1`,
    "m=x",
    RFC.serverFirst.replace("i=4096", "i=0"),
    RFC.serverFirst.replace("i=4096", "i=2147483647"),
    RFC.serverFirst.replace("s=W", "s=*"),
    RFC.serverFirst.replace(",i=4096", ""),
  ])("server-first %j", async (message) => {
    const client = clientOf("pencil", UNBOUND);
    client.first();
    await expect(client.final(Buffer.from(message))).rejects.toThrow(ProtocolViolation);
  });

  test("random messages", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.boolean(), async (text, isFirst) => {
        const server = await serverOf({});
        if (!isFirst) server.first(SCRAM_SHA_256, Buffer.from(RFC.clientFirst));
        const run = (): unknown =>
          isFirst
            ? server.first(SCRAM_SHA_256, Buffer.from(`n,,${text}`))
            : server.final(Buffer.from(text));
        expect(run).toThrow(ProtocolViolation);
      }),
    );
  });
});

describe("stored verifiers", () => {
  test("text and back", async () => {
    const bytes = (length: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((each) => Buffer.from(each));
    const verifier: fc.Arbitrary<ScramVerifier> = fc.record({
      iterations: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      salt: bytes(16),
      storedKey: bytes(32),
      serverKey: bytes(32),
    });
    fc.assert(
      fc.property(verifier, (each) => {
        expect(parseScramVerifier(formatScramVerifier(each))).toEqual(each);
      }),
    );
  });

  test.each([
    "",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256$",
    "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
    "SCRAM-SHA-256$0:AAAA$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    "SCRAM-SHA-256$4096:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  ])("%j is none", (text) => {
    expect(parseScramVerifier(text)).toBeUndefined();
  });
});

describe("SASLprep", () => {
  test.each([
    ["RFC 4013: soft hyphen is dropped", "I\u00ADX", "IX"],
    ["RFC 4013: compatibility forms", "\u00AA\u2168", "aIX"],
    ["ASCII stays, control characters too", "a\u0007b", "a\u0007b"],
    ["other spaces are spaces", "a\u00A0b\u3000c", "a b c"],
    ["a prohibited character leaves all as it is", "\u0007\u2168", "\u0007\u2168"],
    ["so does what Unicode 3.2 did not have", "\u{1F600}\u2168", "\u{1F600}\u2168"],
    ["so do mixed directions", "\u0627a\u0627", "\u0627a\u0627"],
    ["so does right-to-left that ends otherwise", "\u06271", "\u06271"],
    ["right-to-left alone is well", "\u06271\u0628\uFE8F", "\u06271\u0628\u0628"],
    ["nothing left means nothing done", "\u00AD\u00AD", "\u00AD\u00AD"],
  ])("%s", (_name, password, prepared) => {
    expect(saslprep(Buffer.from(password)).toString()).toBe(prepared);
  });

  test("bytes that are no UTF-8 are the password as they are", () => {
    const bytes = Buffer.from("ff41", "hex");
    expect(saslprep(bytes)).toBe(bytes);
  });
});

describe("md5", () => {
  test("PostgreSQL's own example: user postgres, password postgres", () => {
    const secret = md5Secret("postgres", Buffer.from("postgres"));
    expect(secret).toBe("md53175bce1d3201d16594cebf9d7eb3f9d");
    expect(isMd5Secret(secret)).toBe(true);
  });

  test("a response is of one secret and one salt", () => {
    const secret = md5Secret("u", Buffer.from("p"));
    const salt = Buffer.from([1, 2, 3, 4]);
    const response = Buffer.from(md5Response(secret, salt));
    expect(isMd5Response(secret, salt, response)).toBe(true);
    expect(isMd5Response(secret, Buffer.from([1, 2, 3, 5]), response)).toBe(false);
    expect(isMd5Response(md5Secret("v", Buffer.from("p")), salt, response)).toBe(false);
    expect(isMd5Response(secret, salt, Buffer.alloc(0))).toBe(false);
  });

  test.each(["md5", "md53175BCE1D3201D16594CEBF9D7EB3F9D", "md53175bce1d3201d16594cebf9d7eb3f9"])(
    "%s is a plain password",
    (text) => {
      expect(isMd5Secret(text)).toBe(false);
    },
  );
});

describe("certificate hash", () => {
  test.each([
    ["sha256", 32],
    ["sha384", 48],
    ["sha512", 64],
    ["sha1", 32],
  ] as const)("a certificate signed with %s", async (algorithm, length) => {
    const { cert } = await generate([{ name: "commonName", value: "x" }], { algorithm });
    expect(certificateHash(new X509Certificate(cert).raw)?.length).toBe(length);
  });

  test("what is no certificate has none, and reads nothing out of bounds", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(certificateHash(Buffer.concat([Buffer.of(0x30), bytes]))).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});
