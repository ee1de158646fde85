import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";
import { decodeErrorFields, encodeErrorFields } from "./error-response.ts";
import type { ErrorFields } from "./error-response.ts";

/** NoticeResponse (B): a warning or a notice; may come at any moment and ends nothing. */
export interface NoticeResponse {
  readonly kind: "noticeResponse";
  readonly fields: ErrorFields;
}

export function decodeNoticeResponse(body: Buffer): NoticeResponse {
  return { kind: "noticeResponse", fields: decodeErrorFields(body) };
}

export function encodeNoticeResponse(message: NoticeResponse, writer: FrameWriter): void {
  writer.begin(BACKEND_TYPE.noticeResponse);
  encodeErrorFields(message.fields, writer);
  writer.end();
}
