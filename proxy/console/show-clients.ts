/** SHOW CLIENTS and SHOW SERVERS: who is connected to the proxy, and what the proxy is connected to. */
import type { BackendAddress } from "../backend/backend-address.ts";
import type { ServerReport } from "../backend/pool-stats.ts";
import type { ClientReport } from "../session/client-report.ts";
import { serverId } from "../session/session-status.ts";
import { column, show } from "./show.ts";

export const SHOW_CLIENTS = show<ClientReport>({
  name: "clients",
  isOfEachWorker: true,
  help: "Connected clients, those of this console included: what each does, what it waits for, and why it keeps a server connection.",
  rows: ({ clients }) => clients(),
  columns: [
    column("type", "text", "`C`, for client.", () => "C"),
    column("user", "text", "The user's name.", ({ user }) => user),
    column("database", "text", "The database name that the client gave.", (row) => row.database),
    column(
      "state",
      "text",
      "`active`, `waiting` (see `waits_for`), `idle`, `idle in transaction`, or `idle in transaction (aborted)`.",
      ({ state }) => state,
    ),
    column("addr", "text", "The client's address.", (row) => hostOf(row.address)),
    column("port", "integer", "Its port.", (row) => portOf(row.address)),
    column("local_addr", "text", "The address it connected to.", (row) =>
      hostOf(row.local_address),
    ),
    column("local_port", "integer", "The port of it.", (row) => portOf(row.local_address)),
    column("connect_time", "timestamptz", "When it connected.", (row) => row.connected_at),
    column(
      "request_time",
      "timestamptz",
      "When it last sent something.",
      (row) => row.requested_at,
    ),
    column("wait", "integer", "Whole seconds that it has been waiting.", (row) =>
      Math.floor(row.wait_ms / 1_000),
    ),
    column(
      "wait_us",
      "integer",
      "Microseconds of that beyond whole seconds.",
      (row) => (row.wait_ms % 1_000) * 1_000,
    ),
    column(
      "link",
      "text",
      "The server connections it uses or keeps, by `id` of SHOW SERVERS.",
      (row) => listed(row.servers),
    ),
    column("tls", "text", "TLS version and cipher; empty without TLS.", ({ tls }) => tls),
    column("application_name", "text", "The client's setting.", (row) => row.application_name),
    column(
      "prepared_statements",
      "integer",
      "Statements it has prepared.",
      (row) => row.prepared_statements,
    ),
    column("id", "integer", "For KILL; what BackendKeyData told the client.", ({ id }) => id),
    column(
      "waits_for",
      "text",
      "`connection to` a database whose connections are all in use, `resume of` a paused one, or `answer of` those that run its statement.",
      (row) => row.waits_for,
    ),
    column(
      "pinned",
      "text",
      "Why it keeps a server connection between transactions: `temporary object`, `advisory lock`.",
      (row) => listed(row.pinned),
    ),
    column(
      "statements",
      "bigint",
      "Query and Execute messages so far.",
      ({ statements }) => statements,
    ),
    column("received", "bigint", "Bytes received from it.", (row) => row.received_bytes),
    column("sent", "bigint", "Bytes sent to it.", (row) => row.sent_bytes),
  ],
});

interface ServerRow extends ServerReport {
  readonly id: string;
  readonly client: ClientReport | undefined;
}

export const SHOW_SERVERS = show<ServerRow>({
  name: "servers",
  isOfEachWorker: true,
  help: "Open connections of the pools. Connections of the proxy's own (recovery, LISTEN) are not among them.",
  rows: ({ servers, clients }) => {
    const users = new Map(clients().flatMap((client) => client.servers.map((id) => [id, client])));
    return servers().map((server) => {
      const id = serverId(server.connection);
      return { ...server, id, client: users.get(id) };
    });
  },
  columns: [
    column("type", "text", "`S`, for server.", () => "S"),
    column(
      "user",
      "text",
      "The role it logged in as.",
      ({ connection }) => connection.address.user,
    ),
    column("database", "text", "The database's name in the map.", (row) => row.connection.database),
    column(
      "state",
      "text",
      "`active` (lent to a client, or to the proxy itself), `idle`, `used` (idle for so long that it is asked before it is lent), `tested` (being asked), `being_canceled`.",
      ({ state }) => state,
    ),
    column("addr", "text", "The server's host, or its socket's directory.", ({ connection }) =>
      serverHost(connection.address),
    ),
    column(
      "port",
      "integer",
      "The server's port.",
      ({ connection }) => connection.address.server.port,
    ),
    column("local_addr", "text", "The connection's address on this machine.", ({ connection }) =>
      connection.localAddress === undefined ? null : hostOf(connection.localAddress),
    ),
    column("local_port", "integer", "The port of it.", ({ connection }) =>
      connection.localAddress === undefined ? null : portOf(connection.localAddress),
    ),
    column("connect_time", "timestamptz", "When it was opened.", (row) => new Date(row.openedAtMs)),
    column("request_time", "timestamptz", "When it was last lent.", ({ lentForMs }) =>
      lentForMs === undefined ? null : new Date(Date.now() - lentForMs),
    ),
    column(
      "close_needed",
      "integer",
      "1 if it is closed as soon as nobody uses it: it is old, or another one was lost.",
      ({ isOver }) => Number(isOver),
    ),
    column("link", "integer", "The client that uses or keeps it.", (row) => row.client?.id ?? null),
    column("remote_pid", "integer", "The server's process.", (row) => row.connection.processId),
    column(
      "tls",
      "text",
      "TLS version and cipher; empty without TLS.",
      ({ connection }) => connection.encryption,
    ),
    column(
      "application_name",
      "text",
      "That of the client; empty without one.",
      (row) => row.client?.application_name ?? "",
    ),
    column(
      "prepared_statements",
      "integer",
      "Statements kept prepared on it.",
      (row) => row.connection.prepared.size,
    ),
    column("id", "text", "Database and process.", ({ id }) => id),
    column("pinned", "integer", "1 if a client keeps it between transactions.", ({ isPinned }) =>
      Number(isPinned),
    ),
  ],
});

export function serverHost({ server }: BackendAddress): string {
  return server.kind === "tcp" ? server.host : server.directory;
}

/** Of `10.0.0.1:5432`, and of `::1:5432`, as Node writes it. */
function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(":"));
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

function listed(items: readonly string[]): string {
  return items.join(", ");
}
