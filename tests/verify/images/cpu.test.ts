import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mirrorOf } from "../../../verify/images/debian";
import { execute } from "../../../verify/images/execute";
import { packageIndex } from "../../../verify/images/packageIndex";

describe("the package index of a build", () => {
  const toml = (pip: string, env: NodeJS.ProcessEnv = {}) => packageIndex(pip, env).uvToml;

  it("is the public one where nothing else is set, with the machine's certificates", () => {
    expect(toml("")).toBe("system-certs = true\n");
    expect(packageIndex("global.cert='/etc/ssl/own.pem'\n", {}).certificates).toBe("/etc/ssl/own.pem");
    expect(packageIndex("", { SSL_CERT_FILE: "/etc/ssl/env.pem" }).certificates).toBe("/etc/ssl/env.pem");
  });

  it("is pip's, its environment before its files, without folders of this machine", () => {
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

  it("is uv's own where that is set", () => {
    const env = { UV_DEFAULT_INDEX: "https://uv.test/simple" };
    expect(toml("global.index-url='https://pip.test/simple'", env)).toContain('url = "https://uv.test/simple"');
    expect(toml("global.index-url='https://pip.test/simple'", env)).not.toContain("pip.test");
  });
});

describe("the mirror of Debian", () => {
  it("is that of the main component, not of updates or of another vendor", () => {
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

describe("a program", () => {
  const signal = new AbortController().signal;

  it("gives what it writes to standard output, and each line as it comes", async () => {
    const lines: string[] = [];
    const output = await execute("sh", ["-c", "echo one; echo aside >&2; echo two"], {
      signal,
      onLine: (line) => lines.push(line),
    });
    expect(output).toBe("one\ntwo");
    expect(lines.toSorted()).toEqual(["aside", "one", "two"]);
  });

  it("that fails is shown with its last lines and where the rest is", async () => {
    const dir = mkdtempSync(join(tmpdir(), "snack-execute-"));
    try {
      const logFile = join(dir, "log");
      const failing = execute("sh", ["-c", "echo all; echo broken >&2; exit 3"], { signal, logFile });
      await expect(failing).rejects.toThrow(/^sh -c failed\n(all\nbroken|broken\nall)\nwhole log: .*log$/);
      expect(readFileSync(logFile, "utf8")).toContain("broken");
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("ends when it is told to", async () => {
    const stop = new AbortController();
    const running = execute("sleep", ["1000"], { signal: stop.signal });
    stop.abort();
    await expect(running).rejects.toThrow("aborted");
  });
});

describe("npm run images:build -- --cpu", () => {
  /** Runs it on a machine without buildah: an empty PATH. */
  const build = (env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, ["cli/run.cjs", "verify/images/build.ts", "--cpu", "--json"], {
      env: { ...process.env, PATH: "", ...env },
      encoding: "utf8",
    });

  it("prints the reason of a skip and exits with status 77", () => {
    const { status, stdout, stderr } = build({ REQUIRE_ALL: "0" });
    const { skipped } = JSON.parse(stdout) as { skipped: string };
    expect(skipped).not.toBe("");
    expect(stderr).toContain(`SKIPPED: ${skipped}`);
    expect(status).toBe(77);
  });

  it("exits with status 1 when REQUIRE_ALL=1 allows no skip", () => {
    expect(build({ REQUIRE_ALL: "1" }).status).toBe(1);
  });
});
