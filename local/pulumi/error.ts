/** Failure of a run of the Pulumi engine. The message names the resource, the property and the reason. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}
