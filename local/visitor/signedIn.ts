import { createSignIn, type SignIn } from "../../client";
import type { ProgramOutputs } from "../cloud/program";
import { type Credentials, signInByForm } from "./hostedSignIn";

/** Signs a customer in with authorization code and PKCE, without a browser. */
export async function signedIn(outputs: ProgramOutputs, pageUrl: string, who: Credentials): Promise<SignIn> {
  const kept = new Map<string, string>();
  const redirectUri = `${pageUrl}/callback`;
  const client = createSignIn({
    ...outputs.signIn,
    redirectUri,
    logoutUri: `${pageUrl}/`,
    storage: {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    },
  });
  await client.finishSignIn(await signInByForm(await client.startSignIn(), redirectUri, who));
  return client;
}
