/** A TCP port of the loopback interface that nobody listens on at this moment. */
import { createServer } from "node:net";

export async function freePort(): Promise<number> {
  const server = createServer();
  return await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") {
          reject(new Error("a listening TCP socket has no address"));
        } else resolve(address.port);
      });
    });
  });
}
