import type { Session } from "../../client";
import { type Model, Plan, planModels } from "../../contract/plan";
import { browserKeyOf, configKey } from "../../names";
import type { LocalCloud } from "../cloud/cloud";
import type { ProgramOutputs } from "../cloud/program";
import { customerApi } from "./customer";
import { validTicket } from "./tickets";

/**
 * Returns a function that opens sessions of a model. The sessions belong to a seeded customer whose plan has this
 * model. If no plan has the model, each session contains a ticket signed with the stack's key.
 */
export async function modelSessions(
  model: Model,
  cloud: LocalCloud,
  outputs: ProgramOutputs,
): Promise<() => Promise<Session>> {
  const plan = Plan.options.find((plan) => planModels[plan] === model);
  const api = await customerApi(plan ?? "free", cloud, outputs);
  if (plan) return () => api.session();
  return async () => {
    const session = { ...(await api.session()), model, inference: inferenceOf(model, cloud, outputs) };
    return { ...session, ticket: await validTicket(cloud, session) };
  };
}

/** URL of a model's endpoint, and the Authorization header with the model's browser key. */
export function inferenceOf(model: Model, cloud: LocalCloud, outputs: ProgramOutputs): Session["inference"] {
  const key = cloud.config().values[configKey(browserKeyOf(model))];
  return { url: outputs.inference[model], authorization: `Bearer ${key}` };
}
