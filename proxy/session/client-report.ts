/** A client as an operator is told of it: what its connection is, and what its session does. */
import type { Client } from "./client.ts";
import type { SessionStatus } from "./session-status.ts";

/** `id` is what BackendKeyData told the client. */
export interface ClientReport extends SessionStatus {
  readonly id: number;
  readonly user: string;
  readonly database: string;
  readonly address: string;
  readonly local_address: string;
  readonly tls: string;
  readonly connected_at: Date;
  /** When bytes last came from the client. */
  readonly requested_at: Date;
  readonly received_bytes: number;
  readonly sent_bytes: number;
}

export function clientReport(client: Client, status: SessionStatus): ClientReport {
  const { connection, traffic } = client;
  return {
    id: client.processId,
    user: client.user,
    database: client.database,
    address: client.address,
    local_address: connection.localAddress,
    tls: connection.tls,
    connected_at: new Date(connection.connectedAtMs),
    requested_at: new Date(traffic.receivedAtMs),
    received_bytes: traffic.receivedBytes,
    sent_bytes: traffic.sentBytes,
    ...status,
  };
}
