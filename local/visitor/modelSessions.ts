import type { Session } from "../../client";
import { type Model, Plan, planModels } from "../../contract/plan";
import { browserKeyOf, configKey } from "../../names";
import type { LocalCloud } from "../cloud/cloud";
import type { ProgramOutputs } from "../cloud/outputs";
import { customerApi } from "./customer";
import { validTicket, withTicket } from "./tickets";

/**
 * Returns a function that opens direct sessions of a model. In a direct session, chats go to the model's RunPod
 * endpoint, even when the relay serves the model. The session belongs to the seeded customer whose plan has this model.
 * If no plan has the model, the session contains a ticket signed with the stack's key.
 */
export async function modelSessions(
  model: Model,
  cloud: LocalCloud,
  outputs: ProgramOutputs,
): Promise<() => Promise<Session>> {
  const plan = Plan.options.find((plan) => planModels[plan] === model);
  const api = await customerApi(plan ?? "free", cloud, outputs);
  return async () => {
    const session = { ...(await api.session()), model, inference: inferenceOf(model, cloud, outputs) };
    return plan ? session : withTicket(session, await validTicket(cloud, session));
  };
}

/**
 * Returns the URL of a model's endpoint, and an Authorization header. The header contains the model's browser key. If
 * the model has none, it contains the account's key.
 */
export function inferenceOf(model: Model, cloud: LocalCloud, outputs: ProgramOutputs): Session["inference"] {
  const { values } = cloud.config();
  const key = values[configKey(browserKeyOf(model))] ?? values[configKey("runpodApiKey")];
  return { kind: "runpod", url: outputs.inference[model], authorization: `Bearer ${key}` };
}
