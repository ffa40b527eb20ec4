import { type Api, createApi } from "../../client";
import type { Plan } from "../../contract/plan";
import type { LocalCloud } from "../cloud/cloud";
import { customers } from "../cloud/customers";
import type { ProgramOutputs } from "../cloud/program";
import { signedIn } from "./signedIn";

/** Creates an API client that is signed in as the seeded customer of a plan. */
export async function customerApi(plan: Plan, cloud: LocalCloud, outputs: ProgramOutputs): Promise<Api> {
  const customer = customers.find(({ label }) => label === plan);
  if (!customer) throw new Error(`No seeded customer has the plan ${plan}`);
  const { getIdToken } = await signedIn(outputs, cloud.pageUrl, customer);
  return createApi({ apiUrl: outputs.apiUrl, getIdToken });
}
