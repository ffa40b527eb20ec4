/** Why a run of the engine ended without success. The message is for the operator: what, which resource, which property, why. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}
