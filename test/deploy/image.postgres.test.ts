/** The image is built and run where Docker is; elsewhere the tests are reported as skipped. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "../tidy/sources.ts";

function hasDocker(): boolean {
  try {
    execFileSync("docker", ["info"], { stdio: "ignore", timeout: 10_000 });
    return true;
  } catch {
    return false;
  }
}

const IMAGE_TIMEOUT_MS = 600_000;

test.runIf(hasDocker())(
  "the image checks a map that is mounted into it, as a user that is not root",
  async () => {
    // Imported here: on the oldest Node that npm starts with, the library does not load.
    const { GenericContainer } = await import("testcontainers");
    const image = await GenericContainer.fromDockerfile(ROOT, "deploy/Dockerfile").build();
    const source = join(ROOT, "deploy", "compose");
    await using container = await image
      .withBindMounts([{ source, target: "/etc/colonnade", mode: "ro" }])
      .withEntrypoint(["sleep", "300"])
      .withCommand([])
      .start();
    const checked = await container.exec([
      "node",
      "dist/cli/main.js",
      "check",
      "/etc/colonnade/map.yaml",
    ]);
    expect(checked).toMatchObject({ exitCode: 0 });
    expect(checked.output).toContain("version 1 is sound");
    expect((await container.exec(["id", "-u"])).output.trim()).not.toBe("0");
  },
  IMAGE_TIMEOUT_MS,
);
