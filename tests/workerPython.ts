import { findVenvPython } from "../local/support/pythonEnvironment";
import { needs } from "./needs";

/** Interpreter of the worker's Python environment; empty when the environment is missing. */
export const workerPython = findVenvPython() ?? "";

/** Options of a test group that runs the Python worker. */
export const needsPython = needs(
  workerPython ? undefined : "the worker's Python environment is missing (npm run python -- setup)",
);
