import { ApiError } from "../../../contract/errors";
import { type Model, type Plan, planModels } from "../../../contract/plan";
import { VipProvider } from "../../../contract/relay";

/** The models that answer a chat: the GPU workers of one model, or external LLMs in order of preference. */
export type Route = { kind: "worker"; model: Model; url: string } | { kind: "external"; providers: VipProvider[] };

/**
 * Reads the environment variable `VIP_PROVIDERS`: names of providers, separated by commas, in order of preference.
 *
 * @returns the known names without duplicates, and the unknown names, for an alarm. An operator may change the variable
 * of a running function, so a wrong name must not stop the others
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
 * Chooses who answers a ticket's chats.
 *
 * @param external providers that may answer the vip plan now: none when none is configured, or when the daily spend
 * ceiling is reached. The plan's model answers then
 * @param endpoints URLs of the models that the relay serves
 * @throws ApiError `ticket_wrong_model` for a ticket whose model is not the plan's, or which the relay does not serve
 */
export function chooseRoute(
  ticket: { plan: Plan; aud: Model },
  external: readonly VipProvider[],
  endpoints: Partial<Record<Model, string>>,
): Route {
  const model = planModels[ticket.plan];
  if (ticket.aud !== model) throw new ApiError("ticket_wrong_model");
  if (ticket.plan === "vip" && external.length > 0) return { kind: "external", providers: [...external] };
  const url = endpoints[model];
  if (!url) throw new ApiError("ticket_wrong_model");
  return { kind: "worker", model, url };
}
