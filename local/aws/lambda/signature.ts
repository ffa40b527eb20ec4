/** Authorization header of a signed request (SigV4). Captures the region and the service. */
const SIGNATURE =
  /^AWS4-HMAC-SHA256 Credential=[^/,\s]+\/\d{8}\/([^/,]+)\/([^/,]+)\/aws4_request,\s*SignedHeaders=[^,\s]+,\s*Signature=[0-9a-f]{64}$/;

/** Reads region and service of a signed request. Undefined when the Authorization header has no signature. */
export function signatureScope(authorization: string): { region: string; service: string } | undefined {
  const [, region, service] = SIGNATURE.exec(authorization) ?? [];
  return region === undefined || service === undefined ? undefined : { region, service };
}
