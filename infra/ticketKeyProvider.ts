import { generateKeyPairSync } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";

interface Inputs {
  number: number;
}

/** Creates a key pair. Its id is the `kid`: the key's number and a random part, so that two stacks never share a `kid`. */
export async function create({ number }: Inputs): Promise<pulumi.dynamic.CreateResult> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const kid = `${number}-${crypto.randomUUID().slice(0, 8)}`;
  const shared = { kid, alg: "EdDSA", use: "sig" };
  const privateJwk = JSON.stringify({ ...privateKey.export({ format: "jwk" }), ...shared });
  const publicJwk = JSON.stringify({ ...publicKey.export({ format: "jwk" }), ...shared });
  return { id: kid, outs: { number, privateJwk, publicJwk } };
}

/** Reports a replacement when the key's number has changed. */
export async function diff(olds: Inputs, news: Inputs): Promise<pulumi.dynamic.DiffResult> {
  const changes = olds.number !== news.number;
  return { changes, replaces: changes ? ["number"] : [], deleteBeforeReplace: false };
}
