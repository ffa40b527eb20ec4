/** Failure of an engine run. The message tells the operator the resource, the property and the reason. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}
