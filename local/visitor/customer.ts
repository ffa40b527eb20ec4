import { type Api, createApi, createSignIn, type SignIn } from "../../client";
import type { Plan } from "../../contract/plan";
import type { LocalCloud } from "../cloud/cloud";
import { customers } from "../cloud/customers";
import type { ProgramOutputs } from "../cloud/outputs";
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

/** Creates an API client in which the seeded customer of a plan is signed in. */
export async function customerApi(
  plan: Plan,
  cloud: Pick<LocalCloud, "pageUrl">,
  outputs: ProgramOutputs,
): Promise<Api> {
  const customer = customers.find(({ label }) => label === plan);
  if (!customer) throw new Error(`No seeded customer has the plan ${plan}`);
  const { getIdToken } = await signedIn(outputs, cloud.pageUrl, customer);
  return createApi({ apiUrl: outputs.apiUrl, getIdToken });
}
