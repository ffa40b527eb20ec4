import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { systemPrompt } from "../../../functions/relay/persona";
import { needsPython, workerPython } from "../../workerPython";

const hours = Array.from({ length: 24 }, (_, hour) => new Date(Date.UTC(2026, 10, 27, hour, 30)));

describe("systemPrompt", needsPython, () => {
  it("is the worker's persona at every hour of the day", () => {
    const script = `
import json, sys
from snack_worker.persona import persona
print(json.dumps([persona(float(s))["content"] for s in sys.argv[1:]]))`;
    const seconds = hours.map((time) => String(time.getTime() / 1_000));
    const worker = JSON.parse(execFileSync(workerPython, ["-c", script, ...seconds], { encoding: "utf8" }));
    const relay = hours.map((time) => systemPrompt(time)).map(({ persona, greeting }) => `${persona}\n\n${greeting}`);
    expect(relay).toEqual(worker);
    expect(new Set(relay).size).toBe(3);
  });
});
