/**
 * The operator's HTTP interface: /metrics for Prometheus, /healthz (the process answers),
 * /readyz (it can serve clients), /in-doubt, JSON of the transactions over several databases
 * that are prepared now, and /clients, JSON of who is connected and why who keeps a backend.
 *
 * It asks for no password and is meant for the loopback interface or a private network.
 * What being ready means, and what is in doubt, is told to it; it knows neither pools nor maps.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import {
  ADMIN_CONNECTIONS_MAX,
  ADMIN_HEADERS_BYTES_MAX,
  ADMIN_REQUEST_TIMEOUT_MS,
} from "../../base/limits.ts";
import type { Log } from "../../base/log.ts";
import type { RenderedMetrics } from "../../base/metrics.ts";

/** What is told of a proxy, or of several together. */
export interface AdminSources {
  readonly metrics: { render(): Promise<RenderedMetrics> };
  readonly isReady: () => boolean | Promise<boolean>;
  /** What JSON is to say. Must not reject for a database that cannot be asked. */
  readonly inDoubt: () => Promise<unknown>;
  /** What JSON is to say of each client. */
  readonly clients: () => readonly unknown[] | Promise<readonly unknown[]>;
}

export interface AdminHttpOptions extends AdminSources {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Log;
}

export interface AdminHttp {
  readonly port: number;
  close(): Promise<void>;
}

export async function startAdminHttp(options: AdminHttpOptions): Promise<AdminHttp> {
  const server = createServer(
    { maxHeaderSize: ADMIN_HEADERS_BYTES_MAX, requestTimeout: ADMIN_REQUEST_TIMEOUT_MS },
    (request, response) => {
      respond(options, request, response).catch((error: unknown) => {
        options.log.error({ err: error }, "admin request failed");
        response.destroy();
      });
    },
  );
  server.maxConnections = ADMIN_CONNECTIONS_MAX;
  await listen(server, options);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: async () => await close(server),
  };
}

async function listen(server: Server, { host, port }: AdminHttpOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function respond(
  options: AdminHttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.writeHead(405, { allow: "GET, HEAD" }).end();
    return;
  }
  const [path] = (request.url ?? "/").split("?");
  switch (path) {
    case "/healthz":
      send(response, 200, "ok\n");
      return;
    case "/readyz":
      if (await options.isReady()) send(response, 200, "ready\n");
      else send(response, 503, "not ready\n");
      return;
    case "/metrics": {
      const { contentType, text } = await options.metrics.render();
      send(response, 200, text, contentType);
      return;
    }
    case "/in-doubt":
      send(response, 200, `${JSON.stringify(await options.inDoubt(), undefined, 2)}\n`, JSON_TYPE);
      return;
    case "/clients":
      send(response, 200, `${JSON.stringify(await options.clients(), undefined, 2)}\n`, JSON_TYPE);
      return;
    default:
      send(response, 404, "paths are /metrics, /healthz, /readyz, /in-doubt and /clients\n");
  }
}

const JSON_TYPE = "application/json; charset=utf-8";

function send(
  response: ServerResponse,
  status: number,
  text: string,
  contentType = "text/plain; charset=utf-8",
): void {
  response.writeHead(status, { "content-type": contentType, "cache-control": "no-store" });
  // Node leaves the body out of the answer to HEAD.
  response.end(text);
}
