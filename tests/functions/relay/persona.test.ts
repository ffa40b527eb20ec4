import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { systemPrompt } from "../../../functions/relay/persona";
import { needsPython, workerPython } from "../../workerPython";

const hours = Array.from({ length: 24 }, (_, hour) => new Date(Date.UTC(2026, 10, 27, hour, 30)));
/** The first and the last half hour of each month in Japan. */
const months = Array.from({ length: 12 }, (_, month) => [
  new Date(Date.UTC(2027, month, 1, -9, 15)),
  new Date(Date.UTC(2027, month + 1, 1, -9, -15)),
]).flat();

describe("systemPrompt", needsPython, () => {
  it("equals the worker's persona at every hour, and at the beginning and end of every month", () => {
    const script = `
import json, sys
from snack_worker.persona import persona
print(json.dumps([persona(float(s))["content"] for s in sys.argv[1:]]))`;
    const times = [...hours, ...months];
    const seconds = times.map((time) => String(time.getTime() / 1_000));
    const worker = JSON.parse(execFileSync(workerPython, ["-c", script, ...seconds], { encoding: "utf8" }));
    const relay = times.map((time) => systemPrompt(time)).map(({ persona, greeting }) => `${persona}\n\n${greeting}`);
    expect(relay).toEqual(worker);
    expect(new Set(relay.slice(0, hours.length)).size).toBe(4);
    expect(new Set(relay.slice(hours.length)).size).toBe(12);
  });
});
