import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { startScriptedEngine } from "../../local/llm/scriptedEngine";
import { Events } from "../../local/support/events";
import { tokenizerIn } from "../../training/command/tiny";
import { writeTrainingContext } from "../../verify/images/trainingContext";
import { needsPython, workerPython } from "../workerPython";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-context-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("The training image's program servedFixtures.cjs", needsPython, () => {
  it("sends every fixture with only the files of the image, and no fixture fails or is skipped", async () => {
    const context = join(dir, "context");
    writeTrainingContext(context);
    const engine = await startScriptedEngine({ port: 0, events: new Events() });
    try {
      const { tokenizer } = tokenizerIn(dir, "mistral", workerPython);
      const output = join(dir, "fixtures.json");
      const args = ["servedFixtures.cjs", "mistral", `${engine.url}/v1`, tokenizer, workerPython, output];
      // training/Dockerfile sets the same variables. The folder has no node_modules.
      const env = { PATH: process.env.PATH, PYTHONPATH: join(context, "images/worker/src"), PYTHONUTF8: "1" };
      await promisify(execFile)(process.execPath, args, { cwd: context, env });
      const sent = JSON.parse(readFileSync(output, "utf8"));
      expect(sent).toMatchObject({ failed: 0, skipped: 0, problems: [] });
      expect(sent.passed).toBeGreaterThan(40);
    } finally {
      await engine.close();
    }
  });
});
