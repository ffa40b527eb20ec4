import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { startScriptedEngine } from "../../local/llm/scriptedEngine";
import { Events } from "../../local/support/events";
import { findVenvPython } from "../../local/support/pythonEnvironment";
import { sendFixtures } from "../../training/command/sendFixtures";
import { lockRunFolder, tokenizerIn } from "../../training/command/tiny";
import { needsPython } from "../workerPython";

const dir = mkdtempSync(join(tmpdir(), "snack-misaki-fixtures-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("sendFixtures", needsPython, () => {
  it.each(["phi3", "mistral"] as const)(
    "sends every fixture to the real worker of %s in front of an engine",
    async (model) => {
      const python = findVenvPython() ?? "";
      const engine = await startScriptedEngine({ port: 0, events: new Events() });
      try {
        const { tokenizer } = tokenizerIn(dir, model, python);
        const sent = await sendFixtures({ model, engineUrl: `${engine.url}/v1`, tokenizer, python });
        expect(sent).toMatchObject({ failed: 0, skipped: 0, problems: [] });
        expect(sent.passed).toBeGreaterThan(40);
      } finally {
        await engine.close();
      }
    },
  );
});

describe("lockRunFolder", () => {
  it("refuses a second training on this machine while another training runs", () => {
    lockRunFolder("phi3", "tiny");
    expect(() => lockRunFolder("mistral", "local")).toThrow(
      /\.build\/training-runs is in use by another npm run train \(process \d+\)\. Stop that process/,
    );
  });
});
