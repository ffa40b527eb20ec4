import { exportJWK, generateKeyPair, type JWK } from "jose";

/** A key that signs tickets, and the key set with its public half. */
export interface TicketKeys {
  key: JWK & { kid: string };
  jwks: { keys: JWK[] };
}

/** Generates a key pair for tickets. */
export async function createTicketKeys(kid = "1"): Promise<TicketKeys> {
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return {
    key: { ...(await exportJWK(pair.privateKey)), kid },
    jwks: { keys: [{ ...(await exportJWK(pair.publicKey)), kid, alg: "EdDSA" }] },
  };
}
