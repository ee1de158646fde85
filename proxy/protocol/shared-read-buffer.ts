/**
 * What plain sockets read into, all of them: libuv fills it, and whoever listens has done with it before
 * the next read (net: `onread`). That costs less than a fresh 64 kB buffer for every read. Nobody keeps
 * a view of it, nor writes one to a socket, which may keep it.
 */
export const SHARED_READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
