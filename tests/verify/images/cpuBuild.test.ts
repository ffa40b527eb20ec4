import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mirrorOf } from "../../../verify/images/debian";
import { packageIndex } from "../../../verify/images/packageIndex";
import { runProgram } from "../../../verify/images/runProgram";

describe("packageIndex", () => {
  const toml = (pip: string, env: NodeJS.ProcessEnv = {}) => packageIndex(pip, env).uvToml;

  it("uses the public index and the machine's certificates when pip and uv have no settings", () => {
    expect(toml("")).toBe("system-certs = true\n");
    expect(packageIndex("global.cert='/etc/ssl/own.pem'\n", {}).certificates).toBe("/etc/ssl/own.pem");
    expect(packageIndex("", { SSL_CERT_FILE: "/etc/ssl/env.pem" }).certificates).toBe("/etc/ssl/env.pem");
  });

  it("converts pip's settings to uv's format, and prefers environment variables over files", () => {
    const pip = [
      ":env:.index-url='https://env.test/simple'",
      "global.index-url='https://file.test/simple'",
      "global.extra-index-url='https://one.test/simple\\nhttps://two.test/simple'",
      "global.find-links='/opt/wheels https://links.test/'",
      "install.trusted-host='env.test'",
    ];
    expect(toml(pip.join("\n"))).toBe(`system-certs = true
find-links = ["https://links.test/"]
allow-insecure-host = ["env.test"]
[[index]]
url = "https://one.test/simple"
[[index]]
url = "https://two.test/simple"
[[index]]
url = "https://env.test/simple"
default = true
`);
  });

  it("prefers uv's settings over pip's", () => {
    const env = { UV_DEFAULT_INDEX: "https://uv.test/simple" };
    expect(toml("global.index-url='https://pip.test/simple'", env)).toContain('url = "https://uv.test/simple"');
    expect(toml("global.index-url='https://pip.test/simple'", env)).not.toContain("pip.test");
  });
});

describe("mirrorOf", () => {
  it("returns only the mirror of Debian's main component", () => {
    const targets = [
      "Debian bookworm-updates main http://updates.test/debian/",
      "Other bookworm main http://other.test/debian/",
      "Debian bookworm contrib http://contrib.test/debian/",
      "Debian bookworm main http://mirror.test/debian/",
    ];
    expect(mirrorOf(targets.join("\n"))).toBe("http://mirror.test/debian/");
    expect(mirrorOf("Ubuntu jammy main http://mirror.test/ubuntu/")).toBeUndefined();
    expect(mirrorOf("")).toBeUndefined();
  });
});

describe("runProgram", () => {
  const signal = new AbortController().signal;

  it("returns standard output and calls onLine with each line", async () => {
    const lines: string[] = [];
    const output = await runProgram("sh", ["-c", "echo one; echo warning >&2; echo two"], {
      signal,
      onLine: (line) => lines.push(line),
    });
    expect(output).toBe("one\ntwo");
    expect(lines.toSorted()).toEqual(["one", "two", "warning"]);
  });

  it("throws an error with the final output lines and the log file's path when the program fails", async () => {
    const dir = mkdtempSync(join(tmpdir(), "snack-execute-"));
    try {
      const logFile = join(dir, "log");
      const failing = runProgram("sh", ["-c", "echo all; echo broken >&2; exit 3"], { signal, logFile });
      await expect(failing).rejects.toThrow(/^sh -c failed\n(all\nbroken|broken\nall)\ncomplete log: .*log$/);
      expect(readFileSync(logFile, "utf8")).toContain("broken");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("ends the program when the signal is aborted", async () => {
    const stop = new AbortController();
    const running = runProgram("sleep", ["1000"], { signal: stop.signal });
    stop.abort();
    await expect(running).rejects.toThrow("aborted");
  });
});

describe("npm run images:build -- --cpu", () => {
  /** Runs the command with an empty PATH, which makes buildah unavailable. */
  const build = (env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, ["cli/run.cjs", "verify/images/build.ts", "--cpu", "--json"], {
      env: { ...process.env, PATH: "", ...env },
      encoding: "utf8",
    });

  it("prints the reason and exits with status 77 when this machine cannot build", () => {
    const { status, stdout, stderr } = build({ REQUIRE_ALL: "0" });
    const { skipped } = JSON.parse(stdout) as { skipped: string };
    expect(skipped).not.toBe("");
    expect(stderr).toContain(`SKIPPED: ${skipped}`);
    expect(status).toBe(77);
  });

  it("exits with status 1 when this machine cannot build and REQUIRE_ALL is 1", () => {
    expect(build({ REQUIRE_ALL: "1" }).status).toBe(1);
  });
});
