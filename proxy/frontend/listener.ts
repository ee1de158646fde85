/**
 * Accepts clients and brings each to its session: start-up, TLS, authentication, the bound
 * on their number. What a session is it does not know: it hands a Client to the SessionHost.
 *
 * Nothing a stranger sends costs more than its own connection, for as long as the
 * authentication deadline: packets are bounded, read by need, and answered by one FATAL.
 */
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { TLSSocket } from "node:tls";
import {
  AUTHENTICATION_TIMEOUT_MS,
  CLIENTS_MAX_DEFAULT,
  FRONTEND_KEEPALIVE_MS,
  LISTEN_BACKLOG,
} from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { Metrics } from "../../base/metrics.ts";
import { ERRORS, ProtocolViolation, SqlError } from "../../base/sql-error.ts";
import { encodeAuthentication } from "../protocol/backend/authentication.ts";
import { encodeNegotiateProtocolVersion } from "../protocol/backend/negotiate-protocol-version.ts";
import { encodeToBuffer } from "../protocol/frame-writer.ts";
import { negotiateProtocolVersion } from "../protocol/startup.ts";
import type { SessionHost } from "../session/client.ts";
import { Authenticator } from "./authentication.ts";
import type { AuthenticationPolicy } from "./authentication.ts";
import { ClientConnection } from "./client-connection.ts";
import { Identities } from "./identities.ts";
import { closeAfter, refuse } from "./refuse.ts";
import { PullSocket } from "./pull-socket.ts";
import { readOpening } from "./start-up.ts";
import type { Opening } from "./start-up.ts";
import { readIdentity, readSettings } from "./startup-identity.ts";
import { FrontendTls } from "./tls.ts";
import type { FrontendTlsOptions } from "./tls.ts";

export interface ListenerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly authentication: AuthenticationPolicy;
  readonly sessions: SessionHost;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tls?: FrontendTlsOptions | undefined;
  readonly clientsMax?: number | undefined;
  readonly authenticationTimeoutMs?: number | undefined;
  readonly sideDoor?: SideDoor | undefined;
  /** Where other processes serve the same address: its clients' process ids are `index` modulo `count`. */
  readonly place?: ListenerPlace | undefined;
}

export interface ListenerPlace {
  readonly index: number;
  readonly count: number;
  readonly passCancel: (processId: number, secretKey: Buffer) => void;
}

/** A database name that leads to other sessions, with users and a bound on clients of its own. */
export interface SideDoor {
  readonly database: string;
  readonly authentication: AuthenticationPolicy;
  /** Throws for a user who has proven who it is, and may not come in. */
  readonly admit: (user: string) => void;
  readonly sessions: SessionHost;
  readonly clientsMax: number;
  /** The hint for whoever finds it full. */
  readonly fullHint: string;
}

interface Door {
  readonly authenticator: Authenticator;
  readonly admit: (user: string) => void;
  readonly sessions: SessionHost;
  readonly clientsMax: number;
  readonly fullHint: string | undefined;
  /** Clients past start-up by their process id. */
  readonly processIds: Set<number>;
}

const ALONE = { index: 0, count: 1 };

/** Process ids in BackendKeyData are positive int32. */
const PROCESS_ID_MAX = 2 ** 31 - 1;

/** Bytes of a cancel key: all that protocol 3.0 has room for, and what PostgreSQL gives in 3.2. */
const SECRET_KEY_BYTES = 4;
const SECRET_KEY_BYTES_3_2 = 32;

/** Connections for each client allowed: those in start-up, and cancel requests, must find room beside full sessions. */
const CONNECTIONS_PER_CLIENT = 2;

export class Listener {
  readonly #options: ListenerOptions;
  readonly #server: Server;
  readonly #tls: FrontendTls | undefined;
  readonly #door: Door;
  readonly #sideDoor: Door | undefined;
  readonly #identities = new Identities();
  /** Every connection, in start-up or in session, and what its close is waited for with. */
  readonly #sockets = new Map<Socket, () => void>();
  /** Of each of them: one listener serves all. */
  readonly #onClose: (this: Socket) => void;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    const sockets = this.#sockets;
    this.#onClose = function () {
      const closed = sockets.get(this);
      sockets.delete(this);
      closed?.();
    };
    this.#tls = options.tls && new FrontendTls(options.tls);
    const { authentication, sessions, clientsMax = CLIENTS_MAX_DEFAULT, sideDoor } = options;
    this.#door = doorOf({
      authentication,
      sessions,
      clientsMax,
      admit: ignore,
      fullHint: undefined,
    });
    this.#sideDoor = sideDoor && doorOf(sideDoor);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    this.#server.maxConnections =
      CONNECTIONS_PER_CLIENT * (clientsMax + (sideDoor?.clientsMax ?? 0));
    this.#server.on("connection", (socket) => void this.#accept(socket));
  }

  /** Rejects where the address cannot be listened on, or certificate and key do not fit. */
  static async listen(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    listener.#server.listen({ host: options.host, port: options.port, backlog: LISTEN_BACKLOG });
    await once(listener.#server, "listening");
    // Accepting fails when file descriptors run out; those who are in go on.
    listener.#server.on("error", (error) => options.log.error({ err: error }, "accept failed"));
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Clients past start-up, those being authenticated included. */
  get clientCount(): number {
    return this.#door.processIds.size;
  }

  /** Takes no further connection. Those there are go on. */
  stopAccepting(): void {
    this.#server.close();
  }

  /** Of a client of this process, or one that another may have. */
  cancel(processId: number, secretKey: Buffer, pass?: ListenerPlace["passCancel"]): void {
    const doors = [this.#door, this.#sideDoor];
    const isOwn = doors.some((door) => door?.processIds.has(processId));
    if (pass !== undefined && !isOwn) return pass(processId, secretKey);
    for (const door of doors) door?.sessions.cancel(processId, secretKey);
  }

  /** Stops accepting and cuts every connection. */
  async close(): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, "close") : Promise.resolve();
    this.stopAccepting();
    for (const socket of this.#sockets.keys()) socket.destroy();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** One connection, up to its session. Never rejects. */
  async #accept(raw: Socket): Promise<void> {
    raw.setKeepAlive(true, FRONTEND_KEEPALIVE_MS);
    this.#track(raw);
    let current = raw;
    try {
      const entered = await this.#startUp(raw);
      if (entered === undefined) return;
      current = this.#replace(raw, entered.client);
      this.#runSession(entered, current);
    } catch (error) {
      this.#report(current, error);
      current.destroy();
    }
  }

  #track(socket: Socket): void {
    // A socket's failure is followed by its close, which is all that anybody acts on.
    socket.on("error", ignore);
    this.#sockets.set(socket, ignore);
    socket.on("close", this.#onClose);
  }

  /** What is closed when the client's connection is: `raw`, or what the client has put in the place of it. */
  #replace(raw: Socket, { socket }: ClientConnection): Socket {
    if (socket === raw || socket instanceof TLSSocket) return raw;
    this.#sockets.delete(raw);
    this.#track(socket);
    return socket;
  }

  /** Start-up and authentication, within the deadline; undefined where it ended the connection. What it needs is let go of before the session begins. */
  async #startUp(raw: Socket): Promise<Entered | undefined> {
    const deadline = new AbortController();
    const timer = setTimeout(
      () => deadline.abort(authenticationTimeout()),
      this.#options.authenticationTimeoutMs ?? AUTHENTICATION_TIMEOUT_MS,
    );
    let current = new PullSocket(raw, deadline.signal);
    const onSocket = (socket: PullSocket): void => {
      socket.socket.on("error", ignore);
      current = socket;
    };
    let opening: Opening | undefined;
    try {
      opening = await readOpening(raw, { tls: this.#tls, signal: deadline.signal, onSocket });
      return await this.#open(opening, raw);
    } catch (error) {
      this.#report(raw, error);
      // Who has not said what it speaks is not answered: a TLS handshake may be half way.
      if (opening === undefined && deadline.signal.aborted) raw.destroy();
      else refuse(current.socket, raw, error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(opening: Opening, raw: Socket): Promise<Entered | undefined> {
    switch (opening.kind) {
      case "gone":
        raw.destroy();
        return undefined;
      case "cancel": {
        const { processId, secretKey } = opening.request;
        this.cancel(processId, secretKey, this.#options.place?.passCancel);
        // TLS ends by its own notice: libpq takes a connection cut without one for a failed cancel.
        closeAfter(opening.socket.socket, raw);
        return undefined;
      }
      case "startup":
        return await this.#authenticate(opening, raw);
    }
  }

  /** Takes a place among the clients, which the session gives back at its end. */
  async #authenticate(
    { startup, socket, isTls }: Opening & { kind: "startup" },
    raw: Socket,
  ): Promise<Entered | undefined> {
    const connectedAtMs = Date.now();
    const negotiation = negotiateProtocolVersion(startup);
    if (negotiation !== undefined) {
      socket.write(encodeToBuffer(encodeNegotiateProtocolVersion, negotiation));
    }
    const { user, database } = readIdentity(startup);
    const settings = readSettings(startup);
    if (this.#tls?.isRequired === true && !isTls) {
      throw new SqlError("tls_required", `connection of user "${user}" requires TLS`);
    }
    const isAside = database === this.#options.sideDoor?.database;
    const door = (isAside ? this.#sideDoor : undefined) ?? this.#door;
    const processId = this.#takeProcessId(door);
    let isAdmitted = false;
    try {
      const certificateHash = isTls ? this.#tls?.certificateHash : undefined;
      const isProven = await door.authenticator.authenticate(user, {
        socket,
        isTls,
        certificateHash,
      });
      if (isProven) door.admit(user);
      isAdmitted = isProven;
    } finally {
      if (!isAdmitted) door.processIds.delete(processId);
    }
    if (!isAdmitted) {
      raw.destroy();
      return undefined;
    }
    const localAddress = `${raw.localAddress}:${raw.localPort}`;
    const said = this.#identities.same({ user, database, settings, localAddress });
    const client = new ClientConnection(socket.socket, {
      user: said.user,
      database: said.database,
      settings: said.settings,
      processId,
      secretKey: randomBytes(startup.minor >= 2 ? SECRET_KEY_BYTES_3_2 : SECRET_KEY_BYTES),
      address: flat(`${raw.remoteAddress}:${raw.remotePort}`),
      connection: {
        tls: encryptionOf(socket.socket),
        localAddress: said.localAddress,
        connectedAtMs,
      },
    });
    return { client, door };
  }

  /**
   * The client keeps its place until its socket is closed, so that closing clients are counted, too,
   * and its session is over. Nothing waits for either by a promise: idle clients are many.
   */
  #runSession({ client, door }: Entered, raw: Socket): void {
    const { metrics } = this.#options;
    let isOneOver = false;
    const over = (): void => {
      if (!isOneOver) isOneOver = true;
      else {
        door.processIds.delete(client.processId);
        metrics.add("colonnade_clients", {}, -1);
      }
    };
    metrics.increment("colonnade_clients_accepted_total", {});
    metrics.add("colonnade_clients", {}, 1);
    if (raw.closed) over();
    else this.#sockets.set(raw, over);
    client.write(encodeToBuffer(encodeAuthentication, { kind: "authenticationOk" }));
    const ended = (): void => {
      client.end();
      over();
    };
    try {
      door.sessions.serve(client, ended);
    } catch (error) {
      over();
      throw error;
    }
  }

  /** Takes a place among the clients, and a process id no other client has. */
  #takeProcessId(door: Door): number {
    if (door.processIds.size >= door.clientsMax) {
      throw new SqlError("too_many_clients", "sorry, too many clients already", {
        hint: door.fullHint,
      });
    }
    for (;;) {
      const { index, count } = this.#options.place ?? ALONE;
      const processId = randomInt(1, Math.floor(PROCESS_ID_MAX / count)) * count + index;
      const isTaken = (other: Door | undefined) => other?.processIds.has(processId) === true;
      if (isTaken(this.#door) || isTaken(this.#sideDoor)) continue;
      door.processIds.add(processId);
      return processId;
    }
  }

  #report(raw: Socket, error: unknown): void {
    const { log, metrics } = this.#options;
    const client = `${raw.remoteAddress}:${raw.remotePort}`;
    if (error instanceof SqlError || error instanceof ProtocolViolation) {
      // What a stranger did has no stack worth reading, and must not fill the log.
      const id = error instanceof SqlError ? error.id : "protocol_violation";
      const { sqlstate } = ERRORS[id];
      metrics.increment("colonnade_clients_refused_total", { reason: id });
      log.info({ client, id, sqlstate, reason: error.message }, "client refused");
    } else {
      metrics.increment("colonnade_clients_refused_total", { reason: "internal_error" });
      log.error({ client, err: error }, "client refused");
    }
  }
}

interface Entered {
  readonly client: ClientConnection;
  readonly door: Door;
}

function doorOf(options: Omit<SideDoor, "database" | "fullHint"> & Pick<Door, "fullHint">): Door {
  const { authentication, admit, sessions, clientsMax, fullHint } = options;
  const authenticator = new Authenticator(authentication);
  return { authenticator, admit, sessions, clientsMax, fullHint, processIds: new Set() };
}

/** One string of its characters, where joining made one of several. */
function flat(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

function encryptionOf(socket: Socket): string {
  return socket instanceof TLSSocket ? `${socket.getProtocol()}/${socket.getCipher().name}` : "";
}

function authenticationTimeout(): SqlError {
  return new SqlError("authentication_timeout", "canceling authentication due to timeout");
}

function ignore(): void {}
