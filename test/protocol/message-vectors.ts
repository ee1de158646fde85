/**
 * A test vector for every message of proxy/protocol: its meaning and its bytes, written by
 * hand from the manual's "Message Formats". The tidy test asks that every message file of
 * proxy/protocol/frontend and proxy/protocol/backend stands here.
 */
import * as authentication from "../../proxy/protocol/backend/authentication.ts";
import * as backendKeyData from "../../proxy/protocol/backend/backend-key-data.ts";
import * as bindComplete from "../../proxy/protocol/backend/bind-complete.ts";
import * as closeComplete from "../../proxy/protocol/backend/close-complete.ts";
import * as commandComplete from "../../proxy/protocol/backend/command-complete.ts";
import * as copyBothResponse from "../../proxy/protocol/backend/copy-both-response.ts";
import * as copyInResponse from "../../proxy/protocol/backend/copy-in-response.ts";
import * as copyOutResponse from "../../proxy/protocol/backend/copy-out-response.ts";
import * as dataRow from "../../proxy/protocol/backend/data-row.ts";
import * as emptyQueryResponse from "../../proxy/protocol/backend/empty-query-response.ts";
import * as errorResponse from "../../proxy/protocol/backend/error-response.ts";
import * as functionCallResponse from "../../proxy/protocol/backend/function-call-response.ts";
import * as negotiate from "../../proxy/protocol/backend/negotiate-protocol-version.ts";
import * as noData from "../../proxy/protocol/backend/no-data.ts";
import * as noticeResponse from "../../proxy/protocol/backend/notice-response.ts";
import * as notificationResponse from "../../proxy/protocol/backend/notification-response.ts";
import * as parameterDescription from "../../proxy/protocol/backend/parameter-description.ts";
import * as parameterStatus from "../../proxy/protocol/backend/parameter-status.ts";
import * as parseComplete from "../../proxy/protocol/backend/parse-complete.ts";
import * as portalSuspended from "../../proxy/protocol/backend/portal-suspended.ts";
import * as readyForQuery from "../../proxy/protocol/backend/ready-for-query.ts";
import * as rowDescription from "../../proxy/protocol/backend/row-description.ts";
import type { FrameWriter } from "../../proxy/protocol/frame-writer.ts";
import * as bind from "../../proxy/protocol/frontend/bind.ts";
import * as close from "../../proxy/protocol/frontend/close.ts";
import * as copyData from "../../proxy/protocol/frontend/copy-data.ts";
import * as copyDone from "../../proxy/protocol/frontend/copy-done.ts";
import * as copyFail from "../../proxy/protocol/frontend/copy-fail.ts";
import * as describeMessage from "../../proxy/protocol/frontend/describe.ts";
import * as execute from "../../proxy/protocol/frontend/execute.ts";
import * as flush from "../../proxy/protocol/frontend/flush.ts";
import * as functionCall from "../../proxy/protocol/frontend/function-call.ts";
import * as parse from "../../proxy/protocol/frontend/parse.ts";
import * as password from "../../proxy/protocol/frontend/password.ts";
import * as query from "../../proxy/protocol/frontend/query.ts";
import * as saslInitialResponse from "../../proxy/protocol/frontend/sasl-initial-response.ts";
import * as saslResponse from "../../proxy/protocol/frontend/sasl-response.ts";
import * as sync from "../../proxy/protocol/frontend/sync.ts";
import * as terminate from "../../proxy/protocol/frontend/terminate.ts";

export interface Codec<Message> {
  readonly decode: (body: Buffer) => Message;
  readonly encode: (message: Message, writer: FrameWriter) => void;
}

export interface Vector {
  /** Under proxy/protocol, without the ending. */
  readonly file: string;
  readonly message: { readonly kind: string };
  /** The whole frame in hex; spaces part its fields. */
  readonly hex: string;
  readonly codec: Codec<never>;
}

function vector<Message extends { readonly kind: string }>(
  file: string,
  decode: (body: Buffer) => Message,
  encode: (message: Message, writer: FrameWriter) => void,
  message: Message,
  hex: string,
): Vector {
  return { file, message, hex, codec: { decode, encode } as unknown as Codec<never> };
}

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");

export const VECTORS: readonly Vector[] = [
  vector(
    "frontend/query",
    query.decodeQuery,
    query.encodeQuery,
    { kind: "query", sql: "SELECT 'é'" },
    "51 00000010 53454c4543542027c3a92700",
  ),
  vector(
    "frontend/parse",
    parse.decodeParse,
    parse.encodeParse,
    { kind: "parse", statement: "s", sql: "SELECT $1", parameterTypeOids: [23, 4294967295] },
    "50 0000001a 7300 53454c45435420243100 0002 00000017 ffffffff",
  ),
  vector(
    "frontend/bind",
    bind.decodeBind,
    bind.encodeBind,
    {
      kind: "bind",
      portal: "p",
      statement: "",
      parameterFormats: ["binary", "text"],
      parameters: [bytes("\x00\xff"), null],
      resultFormats: ["binary"],
    },
    "42 0000001d 7000 00 0002 0001 0000 0002 00000002 00ff ffffffff 0001 0001",
  ),
  vector(
    "frontend/describe",
    describeMessage.decodeDescribe,
    describeMessage.encodeDescribe,
    { kind: "describe", target: "statement", name: "s" },
    "44 00000007 53 7300",
  ),
  vector(
    "frontend/close",
    close.decodeClose,
    close.encodeClose,
    { kind: "close", target: "portal", name: "" },
    "43 00000006 50 00",
  ),
  vector(
    "frontend/execute",
    execute.decodeExecute,
    execute.encodeExecute,
    { kind: "execute", portal: "", rowLimit: 10 },
    "45 00000009 00 0000000a",
  ),
  vector("frontend/flush", flush.decodeFlush, flush.encodeFlush, { kind: "flush" }, "48 00000004"),
  vector("frontend/sync", sync.decodeSync, sync.encodeSync, { kind: "sync" }, "53 00000004"),
  vector(
    "frontend/terminate",
    terminate.decodeTerminate,
    terminate.encodeTerminate,
    { kind: "terminate" },
    "58 00000004",
  ),
  vector(
    "frontend/password",
    password.decodePassword,
    password.encodePassword,
    { kind: "password", password: bytes("p\xff") },
    "70 00000007 70ff 00",
  ),
  vector(
    "frontend/sasl-initial-response",
    saslInitialResponse.decodeSaslInitialResponse,
    saslInitialResponse.encodeSaslInitialResponse,
    { kind: "saslInitialResponse", mechanism: "SCRAM-SHA-256", data: bytes("n,,") },
    "70 00000019 534352414d2d5348412d32353600 00000003 6e2c2c",
  ),
  vector(
    "frontend/sasl-initial-response",
    saslInitialResponse.decodeSaslInitialResponse,
    saslInitialResponse.encodeSaslInitialResponse,
    { kind: "saslInitialResponse", mechanism: "X", data: null },
    "70 0000000a 5800 ffffffff",
  ),
  vector(
    "frontend/sasl-response",
    saslResponse.decodeSaslResponse,
    saslResponse.encodeSaslResponse,
    { kind: "saslResponse", data: bytes("c=biws") },
    "70 0000000a 633d62697773",
  ),
  vector(
    "frontend/copy-data",
    copyData.decodeCopyData,
    copyData.encodeCopyData,
    { kind: "copyData", data: bytes("1\t2\n") },
    "64 00000008 3109320a",
  ),
  vector(
    "frontend/copy-done",
    copyDone.decodeCopyDone,
    copyDone.encodeCopyDone,
    { kind: "copyDone" },
    "63 00000004",
  ),
  vector(
    "frontend/copy-fail",
    copyFail.decodeCopyFail,
    copyFail.encodeCopyFail,
    { kind: "copyFail", reason: "no" },
    "66 00000007 6e6f00",
  ),
  vector(
    "frontend/function-call",
    functionCall.decodeFunctionCall,
    functionCall.encodeFunctionCall,
    {
      kind: "functionCall",
      functionOid: 952,
      argumentFormats: ["binary"],
      arguments: [bytes("\x00\x00\x00\x01"), null],
      resultFormat: "binary",
    },
    "46 0000001c 000003b8 0001 0001 0002 00000004 00000001 ffffffff 0001",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationOk" },
    "52 00000008 00000000",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationKerberosV5" },
    "52 00000008 00000002",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationCleartextPassword" },
    "52 00000008 00000003",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationMd5Password", salt: bytes("\x01\x02\x03\xff") },
    "52 0000000c 00000005 010203ff",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationScmCredential" },
    "52 00000008 00000006",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationGss" },
    "52 00000008 00000007",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationGssContinue", data: bytes("g") },
    "52 00000009 00000008 67",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationSspi" },
    "52 00000008 00000009",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationSasl", mechanisms: ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] },
    "52 0000002a 0000000a 534352414d2d5348412d3235362d504c555300 534352414d2d5348412d32353600 00",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationSaslContinue", data: bytes("r=a") },
    "52 0000000b 0000000b 723d61",
  ),
  vector(
    "backend/authentication",
    authentication.decodeAuthentication,
    authentication.encodeAuthentication,
    { kind: "authenticationSaslFinal", data: bytes("v=b") },
    "52 0000000b 0000000c 763d62",
  ),
  vector(
    "backend/backend-key-data",
    backendKeyData.decodeBackendKeyData,
    backendKeyData.encodeBackendKeyData,
    { kind: "backendKeyData", processId: 258, secretKey: bytes("\xde\xad\xbe\xef") },
    "4b 0000000c 00000102 deadbeef",
  ),
  vector(
    "backend/parameter-status",
    parameterStatus.decodeParameterStatus,
    parameterStatus.encodeParameterStatus,
    { kind: "parameterStatus", name: "TimeZone", value: "UTC" },
    "53 00000011 54696d655a6f6e6500 55544300",
  ),
  vector(
    "backend/ready-for-query",
    readyForQuery.decodeReadyForQuery,
    readyForQuery.encodeReadyForQuery,
    { kind: "readyForQuery", status: "idle" },
    "5a 00000005 49",
  ),
  vector(
    "backend/ready-for-query",
    readyForQuery.decodeReadyForQuery,
    readyForQuery.encodeReadyForQuery,
    { kind: "readyForQuery", status: "inTransaction" },
    "5a 00000005 54",
  ),
  vector(
    "backend/ready-for-query",
    readyForQuery.decodeReadyForQuery,
    readyForQuery.encodeReadyForQuery,
    { kind: "readyForQuery", status: "failed" },
    "5a 00000005 45",
  ),
  vector(
    "backend/row-description",
    rowDescription.decodeRowDescription,
    rowDescription.encodeRowDescription,
    {
      kind: "rowDescription",
      columns: [
        {
          name: "id",
          tableOid: 16384,
          columnNumber: 1,
          typeOid: 20,
          typeSize: 8,
          typmod: -1,
          format: "text",
        },
        {
          name: "?column?",
          tableOid: 0,
          columnNumber: 0,
          typeOid: 1043,
          typeSize: -1,
          typmod: 14,
          format: "binary",
        },
      ],
    },
    "54 00000036 0002 696400 00004000 0001 00000014 0008 ffffffff 0000 3f636f6c756d6e3f00 00000000 0000 00000413 ffff 0000000e 0001",
  ),
  vector(
    "backend/data-row",
    dataRow.decodeDataRow,
    dataRow.encodeDataRow,
    { kind: "dataRow", values: [bytes("1"), null, bytes("")] },
    "44 00000013 0003 00000001 31 ffffffff 00000000",
  ),
  vector(
    "backend/command-complete",
    commandComplete.decodeCommandComplete,
    commandComplete.encodeCommandComplete,
    { kind: "commandComplete", tag: "INSERT 0 1" },
    "43 0000000f 494e534552542030203100",
  ),
  vector(
    "backend/empty-query-response",
    emptyQueryResponse.decodeEmptyQueryResponse,
    emptyQueryResponse.encodeEmptyQueryResponse,
    { kind: "emptyQueryResponse" },
    "49 00000004",
  ),
  vector(
    "backend/error-response",
    errorResponse.decodeErrorResponse,
    errorResponse.encodeErrorResponse,
    { kind: "errorResponse", fields: { S: "ERROR", V: "ERROR", C: "42P01", M: "m", P: "15" } },
    "45 00000021 534552524f5200 564552524f5200 43343250303100 4d6d00 50313500 00",
  ),
  vector(
    "backend/notice-response",
    noticeResponse.decodeNoticeResponse,
    noticeResponse.encodeNoticeResponse,
    {
      kind: "noticeResponse",
      fields: {
        S: "SS",
        V: "VV",
        C: "CC",
        M: "MM",
        D: "DD",
        H: "HH",
        W: "WW",
        s: "ss",
        t: "tt",
        c: "cc",
        d: "dd",
        n: "nn",
        P: "PP",
        p: "pp",
        q: "qq",
        F: "FF",
        L: "LL",
        R: "RR",
      },
    },
    "4e 0000004d 53535300 56565600 43434300 4d4d4d00 44444400 48484800 57575700 73737300 74747400 63636300 64646400 6e6e6e00 50505000 70707000 71717100 46464600 4c4c4c00 52525200 00",
  ),
  vector(
    "backend/no-data",
    noData.decodeNoData,
    noData.encodeNoData,
    { kind: "noData" },
    "6e 00000004",
  ),
  vector(
    "backend/parameter-description",
    parameterDescription.decodeParameterDescription,
    parameterDescription.encodeParameterDescription,
    { kind: "parameterDescription", typeOids: [23, 25] },
    "74 0000000e 0002 00000017 00000019",
  ),
  vector(
    "backend/parse-complete",
    parseComplete.decodeParseComplete,
    parseComplete.encodeParseComplete,
    { kind: "parseComplete" },
    "31 00000004",
  ),
  vector(
    "backend/bind-complete",
    bindComplete.decodeBindComplete,
    bindComplete.encodeBindComplete,
    { kind: "bindComplete" },
    "32 00000004",
  ),
  vector(
    "backend/close-complete",
    closeComplete.decodeCloseComplete,
    closeComplete.encodeCloseComplete,
    { kind: "closeComplete" },
    "33 00000004",
  ),
  vector(
    "backend/portal-suspended",
    portalSuspended.decodePortalSuspended,
    portalSuspended.encodePortalSuspended,
    { kind: "portalSuspended" },
    "73 00000004",
  ),
  vector(
    "backend/notification-response",
    notificationResponse.decodeNotificationResponse,
    notificationResponse.encodeNotificationResponse,
    { kind: "notificationResponse", processId: 7, channel: "c", payload: "p" },
    "41 0000000c 00000007 6300 7000",
  ),
  vector(
    "backend/negotiate-protocol-version",
    negotiate.decodeNegotiateProtocolVersion,
    negotiate.encodeNegotiateProtocolVersion,
    { kind: "negotiateProtocolVersion", major: 3, minor: 2, unrecognizedParameters: ["_pq_.x"] },
    "76 00000013 0003 0002 00000001 5f70715f2e7800",
  ),
  vector(
    "backend/function-call-response",
    functionCallResponse.decodeFunctionCallResponse,
    functionCallResponse.encodeFunctionCallResponse,
    { kind: "functionCallResponse", result: null },
    "56 00000008 ffffffff",
  ),
  vector(
    "backend/copy-in-response",
    copyInResponse.decodeCopyInResponse,
    copyInResponse.encodeCopyInResponse,
    { kind: "copyInResponse", format: "binary", columnFormats: ["binary", "binary"] },
    "47 0000000b 01 0002 0001 0001",
  ),
  vector(
    "backend/copy-out-response",
    copyOutResponse.decodeCopyOutResponse,
    copyOutResponse.encodeCopyOutResponse,
    { kind: "copyOutResponse", format: "binary", columnFormats: ["binary", "binary"] },
    "48 0000000b 01 0002 0001 0001",
  ),
  vector(
    "backend/copy-both-response",
    copyBothResponse.decodeCopyBothResponse,
    copyBothResponse.encodeCopyBothResponse,
    { kind: "copyBothResponse", format: "binary", columnFormats: ["binary", "binary"] },
    "57 0000000b 01 0002 0001 0001",
  ),
];
