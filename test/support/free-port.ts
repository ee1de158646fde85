/** Ports for tests: the product's own way of finding one. */
export { freePort } from "../../cli/dev/free-port.ts";
