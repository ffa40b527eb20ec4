import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { buildArgs } from "../../../images/models";
import { buildImages } from "../../../verify/images/buildImages";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "snack-docker-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true });
});

/** Installs a program in the first folder of PATH. The program records its arguments, then runs `script`. */
function installProgram(name: string, script: string): void {
  writeFileSync(join(dir, name), `#!/bin/sh\nprintf '%s\\n' "$@" >> "${dir}/${name}.calls"\n${script}\n`);
  chmodSync(join(dir, name), 0o755);
  vi.stubEnv("PATH", `${dir}${delimiter}${process.env.PATH}`);
}

const build = () =>
  buildImages(
    ["mistral"],
    { tag: "v7", repository: "host.test/bar", weights: "cached" },
    () => undefined,
    new AbortController().signal,
  );

describe("buildImages", () => {
  it("passes the build arguments to docker, and HF_TOKEN only as a secret", async () => {
    vi.stubEnv("HF_TOKEN", "hf_canary");
    installProgram("docker", "exit 0");
    expect(await build()).toEqual(["host.test/bar-mistral:v7"]);
    const calls = readFileSync(join(dir, "docker.calls"), "utf8").trim().split("\n");
    for (const [name, value] of Object.entries(buildArgs("mistral", "v7", "cached")))
      expect(calls).toContain(`${name}=${value}`);
    expect(calls).toContain("id=HF_TOKEN,env=HF_TOKEN");
    expect(calls.join()).not.toContain("hf_canary");
    expect(calls.at(-2)).toMatch(/images\/Dockerfile$/);
    expect(calls.at(-1)).toMatch(/images$/);
  });

  it("uses buildah when docker has no daemon", async () => {
    installProgram("docker", "exit 1");
    installProgram("buildah", "exit 0");
    await build();
    expect(readFileSync(join(dir, "buildah.calls"), "utf8")).toContain("host.test/bar-mistral:v7");
  });

  it("throws an error when neither docker nor buildah runs, and when a build fails", async () => {
    installProgram("docker", "exit 1");
    installProgram("buildah", "exit 1");
    await expect(build()).rejects.toThrow("Neither docker nor buildah runs here. Start one of them, or use --cpu.");
    installProgram("docker", '[ "$1" = info ] || { echo "no space left" >&2; exit 1; }');
    await expect(build()).rejects.toThrow("docker build failed\nno space left");
  });
});
