/** Why a run of the engine ended without success. The message is for the operator: what, which resource, which property, why. */
export class EngineError extends Error {
  override readonly name = "EngineError";
}

/** The message of anything that was thrown. A gRPC error's own message is preceded by its code; its details are not. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return "details" in error && error.details ? String(error.details) : error.message;
  return String(error);
}
