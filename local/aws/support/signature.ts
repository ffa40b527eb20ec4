/** Authorization header of a signed request (SigV4). Captures the access key, the region and the service. */
const SIGNATURE =
  /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/\d{8}\/([^/,]+)\/([^/,]+)\/aws4_request,\s*SignedHeaders=[^,\s]+,\s*Signature=[0-9a-f]{64}$/;

/** The credentials and the scope that a request is signed with. */
interface SignatureScope {
  accessKeyId: string;
  region: string;
  service: string;
}

/** Reads the signature's scope. Undefined when the Authorization header has no signature. */
export function signatureScope(authorization: string): SignatureScope | undefined {
  const [, accessKeyId, region, service] = SIGNATURE.exec(authorization) ?? [];
  if (accessKeyId === undefined || region === undefined || service === undefined) return undefined;
  return { accessKeyId, region, service };
}
