/** API key of the account. */
export interface RunpodKey {
  key: string;
  /** `account`: may do everything. `read-only`: may read everything. Names: may call the job API of these endpoints. */
  scope: "account" | "read-only" | { endpointNames: string[] };
}

/**
 * Key of a request, in one of RunPod's three forms: `Authorization: Bearer <key>`, `Authorization: <key>`, `?api_key=`.
 */
export function presentedKey(request: Request): string | undefined {
  const header = request.headers.get("authorization");
  return header?.replace(/^Bearer\s+/i, "") || new URL(request.url).searchParams.get("api_key") || undefined;
}

/** Whether the key may call the job API of an endpoint. Pass undefined for an unknown endpoint. */
export function mayCall(key: RunpodKey, endpointName: string | undefined): boolean {
  if (typeof key.scope === "string") return true;
  return endpointName !== undefined && key.scope.endpointNames.includes(endpointName);
}
