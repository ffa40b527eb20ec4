import { createPrivateKey, generateKeyPair, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import type { JSONWebKeySet, JWK } from "jose";
import { JsonFile } from "../support/store";

type RsaJwk = JWK & { kty: "RSA"; kid: string; n: string; e: string };

/**
 * The two RS256 keys of a pool, stored in a file so that tokens stay valid after a restart. Cognito also publishes two
 * keys per pool.
 */
export class PoolKeys {
  private readonly file: JsonFile<RsaJwk[]>;

  constructor(path: string) {
    this.file = new JsonFile(path, []);
    if (this.file.data.length > 0) return;
    this.file.data = [newKey(), newKey()];
    this.file.save();
  }

  /** The signing key is the first key. The second key exists so that a verifier that ignores `kid` fails. */
  get signing(): { kid: string; key: KeyObject } {
    const [jwk] = this.file.data;
    if (!jwk) throw new Error("The pool has no signing key.");
    return { kid: jwk.kid, key: createPrivateKey({ key: jwk, format: "jwk" }) };
  }

  /** The private keys, for the OIDC server. */
  get private(): { keys: RsaJwk[] } {
    return { keys: this.file.data };
  }

  /** The key set of `jwks.json`, with Cognito's members. */
  get public(): JSONWebKeySet {
    return { keys: this.file.data.map(({ kid, n, e }) => ({ alg: "RS256", e, kid, kty: "RSA", n, use: "sig" })) };
  }
}

/**
 * Keys that were generated in the background. The generation of two keys takes longer than all other steps of a
 * sign-in.
 */
const stock: KeyObject[] = [];

/** Starts to generate the keys of the next new pool. */
export function stockKeys(): void {
  for (let missing = 2 - stock.length; missing > 0; missing--) {
    generateKeyPair("rsa", { modulusLength: 2048 }, (error, _publicKey, privateKey) => {
      if (!error) stock.push(privateKey);
    });
  }
}

function newKey(): RsaJwk {
  const privateKey = stock.pop() ?? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  // Cognito's kid is 32 bytes in plain base64.
  return {
    ...(privateKey.export({ format: "jwk" }) as RsaJwk),
    alg: "RS256",
    use: "sig",
    kid: randomBytes(32).toString("base64"),
  };
}
