import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { alarmCodes } from "../../functions/core/alarmCodes";
import { metricAlarms } from "../../infra/alarms";

/** A code in a log object, or as the argument of a function that raises an alarm. */
const RAISED = /\balarm: "(\w+)"|\b(?:raiseAlarm|alarm)\(\s*"(\w+)"/g;

/** Alarm codes by the source files of the functions and providers that raise them. */
function raisedCodes(): Map<string, string> {
  const files = ["functions", "stripe", "runpod", "infra", "dynamic"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(folder, file)),
  );
  const found = files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(RAISED)].map(
      ([, logged, raised]) => [logged ?? raised ?? "", file] as const,
    ),
  );
  return new Map(found);
}

it("every alarm code in the sources has an entry in the registry and an alarm", () => {
  const alarmed = metricAlarms({ hourlyUsd: 1 }).flatMap(({ metric }) => (metric.of === "code" ? metric.code : []));
  for (const [code, file] of raisedCodes()) {
    expect(Object.keys(alarmCodes), `${file} raises ${code}`).toContain(code);
    expect(alarmed, `${file} raises ${code}`).toContain(code);
  }
});

it("every alarm code in the registry is raised by a source", () => {
  expect([...raisedCodes().keys()].sort()).toEqual(Object.keys(alarmCodes).sort());
});

it("no source writes an alarm to the log without the typed function", () => {
  const writers = ["functions", "stripe", "runpod"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter(
        (file) => file.endsWith(".ts") && /console\.\w+\(\{ alarm\b/.test(readFileSync(join(folder, file), "utf8")),
      )
      .map((file) => join(folder, file)),
  );
  expect(writers).toEqual(["functions/lib/alarms.ts"]);
});
