import { BodyReader } from "../body-reader.ts";
import type { FrameWriter } from "../frame-writer.ts";
import { BACKEND_TYPE } from "../message-type.ts";

/** NotificationResponse (B): a NOTIFY on a channel the session listens to; may come at any moment. */
export interface NotificationResponse {
  readonly kind: "notificationResponse";
  /** Of the backend that sent the NOTIFY. */
  readonly processId: number;
  readonly channel: string;
  readonly payload: string;
}

export function decodeNotificationResponse(body: Buffer): NotificationResponse {
  const reader = new BodyReader(body);
  const processId = reader.int32();
  const channel = reader.cstring();
  const payload = reader.cstring();
  reader.end();
  return { kind: "notificationResponse", processId, channel, payload };
}

export function encodeNotificationResponse(
  message: NotificationResponse,
  writer: FrameWriter,
): void {
  writer.begin(BACKEND_TYPE.notificationResponse).int32(message.processId);
  writer.cstring(message.channel).cstring(message.payload).end();
}
