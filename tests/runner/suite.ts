import { type PythonPackage, pythonPackageNames } from "../../local/support/pythonEnvironment";
import { callsReport, countPytest, countVitest, pytestReport, vitestReport } from "./reports";
import type { Step } from "./steps";

const npmRun = (name: string, ...args: string[]) => ["npm", "run", "--silent", name, "--", ...args];

export const lintStep: Step = { name: "lint and format", command: ["biome", "ci", "--error-on-warnings", "."] };
export const unusedStep: Step = { name: "unused code", command: ["knip"] };
export const typesStep: Step = { name: "types", command: npmRun("typecheck") };

/** Steps that need the worker's Python environment. */
export const workerSteps: Step[] = [
  { name: "Python: lint and types", command: npmRun("python", "lint") },
  ...pythonPackageNames.map(pytestStep),
  { name: "a chat with a real small model", command: npmRun("smoke", "--engine", "llama") },
];

export const openApiStep: Step = { name: "OpenAPI document", command: npmRun("openapi:check") };

/** A short run. `npm run verify -- openapi` sends 5,000 requests. */
export const generatedRequestsStep: Step = {
  name: "OpenAPI: generated requests",
  command: npmRun("verify", "openapi", "--requests", "600"),
};

/** This step is the final step, because it needs the record of all tests. */
export const privilegesStep: Step = {
  name: "AWS calls and permissions",
  command: npmRun("privileges", "--recorded", callsReport),
};

export const imagesStep: Step = { name: "worker images: build and chat", command: npmRun("images:build", "--cpu") };

function pytestStep(name: PythonPackage): Step {
  const report = pytestReport(name);
  return {
    name: `${name}: tests`,
    command: npmRun("python", "test", "--package", name, "--report", report),
    readReport: () => countPytest(report),
  };
}

/** @param words counts only the tests whose names contain all of these words */
export function vitestStep(name: string, args: string[] = [], words: string[] = []): Step {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${vitestReport}`];
  return { name, command: ["vitest", "run", ...reporters, ...args], readReport: () => countVitest(words) };
}
