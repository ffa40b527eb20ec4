import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildArgs } from "../../../images/models";
import { runProgram } from "../../../verify/images/runProgram";
import { needs } from "../../needs";

const CANARY = "hf_canary_build_secret_51aa";
const signal = new AbortController().signal;
/** Reason why this machine cannot build. */
const obstacle = process.getuid?.() !== 0 ? "no root for buildah" : hasBuildah() ? undefined : "no buildah found";

function hasBuildah(): boolean {
  try {
    return execFileSync("buildah", ["--version"], { encoding: "utf8" }).includes("buildah");
  } catch {
    return false;
  }
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "snack-build-secret-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const buildah = (...args: string[]) => {
  const storage = ["--root", join(dir, "storage"), "--runroot", join(dir, "run"), "--storage-driver", "vfs"];
  return runProgram("buildah", [...storage, ...args], { signal });
};

/** Copies a program and its libraries into a folder that becomes an image. */
function install(base: string, program: string): void {
  const libraries = execFileSync("ldd", [program], { encoding: "utf8" }).match(/\/\S+\.so\S*/g) ?? [];
  for (const file of [program, ...libraries]) {
    mkdirSync(join(base, dirname(file)), { recursive: true });
    copyFileSync(file, join(base, file));
  }
}

/** A base image with a shell, and with an `hf` that downloads only with the right token. */
async function createBase(tag: string): Promise<void> {
  const base = join(dir, "base");
  for (const program of ["/bin/sh", "/bin/cat", "/bin/mkdir"]) install(base, program);
  const hf = join(base, "bin/hf");
  writeFileSync(
    hf,
    `#!/bin/sh\n[ "$HF_TOKEN" = ${CANARY.slice(0, 9)}"${CANARY.slice(9)}" ] || { echo "401 Unauthorized"; exit 1; }\n` +
      "mkdir -p /models/weights && echo weights > /models/weights/model.safetensors\n",
  );
  chmodSync(hf, 0o755);
  const container = await buildah("from", "scratch");
  await buildah("add", "--quiet", container, base, "/");
  await buildah("config", "--env", "PATH=/bin", container);
  await buildah("commit", "--quiet", "--rm", container, tag);
}

/** The part of images/Dockerfile that downloads the weights. */
function downloadPart(): string {
  const [part = ""] = readFileSync("images/Dockerfile", "utf8").split("# The engine uses the Python");
  expect(part).toContain("hf download");
  return part;
}

/** All files below a folder, as one text. */
const contentOf = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)))
    // The layers of an image are compressed.
    .map((bytes) => (bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes).toString("latin1"))
    .join("\n");

describe("A private model", needs(obstacle), () => {
  it("downloads its weights with the build secret, and the image's layers and history do not contain the secret", async () => {
    await createBase("localhost/base");
    writeFileSync(join(dir, "Dockerfile"), downloadPart());
    writeFileSync(join(dir, "token"), CANARY);
    const args = { ...buildArgs("phi3", "v1"), ENGINE_IMAGE: "localhost/base" };
    const build = (...more: string[]) =>
      buildah(
        ...[
          "build",
          "--isolation",
          "chroot",
          "--pull=never",
          "--tag",
          "localhost/built",
          "--file",
          join(dir, "Dockerfile"),
        ],
        ...Object.entries(args).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]),
        ...more,
        dir,
      );
    await expect(build()).rejects.toThrow("401 Unauthorized");

    await build("--secret", `id=HF_TOKEN,src=${join(dir, "token")}`);
    const image = join(dir, "image");
    await buildah("push", "--quiet", "localhost/built", `oci:${image}:v1`);
    const content = contentOf(image);
    // A failed comparison of the content itself would print megabytes.
    expect([content.includes("model.safetensors"), content.includes(CANARY)]).toEqual([true, false]);
    expect(await buildah("inspect", "--type", "image", "localhost/built")).not.toContain(CANARY);
  });
});
