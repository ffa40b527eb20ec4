/** An API key of the account. */
export interface RunpodKey {
  key: string;
  /**
   * `account` may do everything, `read-only` may look at everything; the other kind may only call the job API of
   * endpoints with these names.
   */
  scope: "account" | "read-only" | { endpointNames: string[] };
}

/** The key a request carries: `Authorization: Bearer <key>`, the raw key, or `?api_key=`. RunPod accepts all three. */
export function presentedKey(request: Request): string | undefined {
  const header = request.headers.get("authorization");
  return header?.replace(/^Bearer\s+/i, "") || new URL(request.url).searchParams.get("api_key") || undefined;
}

/** True when the key may call the job API of the endpoint. Without a name: of any endpoint. */
export function mayCall(key: RunpodKey, endpointName: string | undefined): boolean {
  if (typeof key.scope === "string") return true;
  return endpointName !== undefined && key.scope.endpointNames.includes(endpointName);
}
