import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { setupTraining, TrainingUnavailable } from "../../training/command/environment";

const build = mkdtempSync(join(tmpdir(), "snack-misaki-training-"));
afterEach(() => vi.unstubAllEnvs());
afterAll(() => rmSync(build, { recursive: true, force: true }));

describe("setupTraining", () => {
  it("reports that training is unavailable, with the reason, when Python 3.11 is missing", async () => {
    vi.stubEnv("PATH", "");
    const setup = setupTraining(
      () => {},
      () => {},
      build,
    );
    await expect(setup).rejects.toThrow(TrainingUnavailable);
    await expect(setup).rejects.toThrow(/python3.11 with venv is not installed|the lock file is for Linux|disk space/);
  });
});
