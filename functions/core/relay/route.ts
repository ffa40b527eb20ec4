import { ApiError } from "../../../contract/errors";
import { type Model, type Plan, planModels } from "../../../contract/plan";
import { VipProvider } from "../../../contract/relay";

/** GPU workers of one model. `url` is the base URL of their endpoint's job API. */
export interface WorkerRoute {
  model: Model;
  url: string;
}

/**
 * The models that answer a chat, in order of preference: first the external LLMs, then the GPU workers. At least one
 * model is present.
 */
export interface Route {
  external: VipProvider[];
  worker?: WorkerRoute;
}

/**
 * Reads the environment variable `VIP_PROVIDERS`: names of providers, separated by commas, in order of preference.
 *
 * @returns the known names without duplicates, and the unknown names, for an alarm. An operator may change the variable
 *   of a running function, so a wrong name must not disable the known names
 */
export function parseVipProviders(value = ""): { providers: VipProvider[]; unknown: string[] } {
  const names = new Set(value.split(",").map((name) => name.trim().toLowerCase()));
  names.delete("");
  const known = [...names].map((name) => VipProvider.safeParse(name));
  return {
    providers: known.flatMap(({ data }) => (data ? [data] : [])),
    unknown: [...names].filter((_, index) => !known[index]?.success),
  };
}

/**
 * Chooses the models that answer the chats of a ticket.
 *
 * @param external providers that may answer the vip plan. When all of them fail, the plan's own model answers
 * @param endpoints URLs of the models that the relay serves
 * @throws ApiError `ticket_wrong_model` when the ticket's model is not the plan's model, or when the relay does not
 *   serve that model
 */
export function chooseRoute(
  ticket: { plan: Plan; aud: Model },
  external: readonly VipProvider[],
  endpoints: Partial<Record<Model, string>>,
): Route {
  const model = planModels[ticket.plan];
  if (ticket.aud !== model) throw new ApiError("ticket_wrong_model");
  const url = endpoints[model];
  const route = { external: ticket.plan === "vip" ? [...external] : [], ...(url && { worker: { model, url } }) };
  if (route.external.length === 0 && !route.worker) throw new ApiError("ticket_wrong_model");
  return route;
}
