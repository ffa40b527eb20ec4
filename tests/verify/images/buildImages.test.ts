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

const build = (push = false) =>
  buildImages(
    ["mistral"],
    { tag: "v7", repository: "host.test/bar", weights: "cached", push },
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

  it("builds the training image on the engine's image of the workers, from a context without other files", async () => {
    installProgram(
      "docker",
      `[ "$1" = info ] || for last; do :; done; [ "$1" = info ] || (cd "$last" && find . -type f > "${dir}/context.txt")`,
    );
    const settings = { tag: "v7", repository: "host.test/bar", weights: "cached" } as const;
    const signal = new AbortController().signal;
    expect(await buildImages(["training"], settings, () => undefined, signal)).toEqual(["host.test/bar-training:v7"]);
    const calls = readFileSync(join(dir, "docker.calls"), "utf8").trim().split("\n");
    const [, engine] = /^ARG ENGINE_IMAGE=(.+)$/m.exec(readFileSync("images/Dockerfile", "utf8")) ?? [];
    expect(calls).toContain(`ENGINE_IMAGE=${engine}`);
    const context = readFileSync(join(dir, "context.txt"), "utf8").split("\n");
    const programs = ["servedFixtures.cjs", "training/src/snack_training/pod.py"];
    for (const file of [...programs, "images/mistral/model.json", "training/tasks/xwinograd_jp_parquet.yaml"])
      expect(context).toContain(`./${file}`);
    expect(context.filter((file) => /\.ts$|tests|__pycache__/.test(file))).toEqual([]);
  });

  it("uses buildah when docker has no daemon", async () => {
    installProgram("docker", "exit 1");
    installProgram("buildah", "exit 0");
    await build();
    expect(readFileSync(join(dir, "buildah.calls"), "utf8")).toContain("host.test/bar-mistral:v7");
  });

  const digest = `sha256:${"a".repeat(64)}`;

  it("pushes with docker without attestations, and names the image by its digest", async () => {
    const metadata = JSON.stringify({ "containerimage.digest": digest });
    installProgram(
      "docker",
      `while [ $# -gt 0 ]; do [ "$1" = --metadata-file ] && echo '${metadata}' > "$2"; shift; done`,
    );
    expect(await build(true)).toEqual([`host.test/bar-mistral@${digest}`]);
    const calls = readFileSync(join(dir, "docker.calls"), "utf8").trim().split("\n");
    expect(calls).toEqual(expect.arrayContaining(["--push", "--provenance=false", "--sbom=false"]));
  });

  it("pushes with buildah, and names the image by its digest", async () => {
    installProgram("docker", "exit 1");
    installProgram("buildah", `[ "$1" != push ] || printf ${digest} > "$3"`);
    expect(await build(true)).toEqual([`host.test/bar-mistral@${digest}`]);
    expect(readFileSync(join(dir, "buildah.calls"), "utf8")).toMatch(
      /push\n--digestfile\n.*\nhost.test\/bar-mistral:v7/,
    );
  });

  it("throws an error when the builder reports no digest of the pushed image", async () => {
    installProgram("docker", `while [ $# -gt 0 ]; do [ "$1" = --metadata-file ] && echo '{}' > "$2"; shift; done`);
    await expect(build(true)).rejects.toThrow("The builder reported no digest of the pushed image");
  });

  it("throws an error when neither docker nor buildah runs, and when a build fails", async () => {
    installProgram("docker", "exit 1");
    installProgram("buildah", "exit 1");
    await expect(build()).rejects.toThrow("Neither docker nor buildah runs here. Start one of them, or use --cpu.");
    installProgram("docker", '[ "$1" = info ] || { echo "no space left" >&2; exit 1; }');
    await expect(build()).rejects.toThrow("docker build failed\nno space left");
  });
});
