import { type Plan, planModels } from "../contract/plan";
import type { Config } from "./config";

/**
 * Whether browsers send a plan's chats directly to RunPod: the plan's model has a browser key, and no external LLM
 * answers the plan. All other plans use the relay.
 */
export function isDirect(plan: Plan, { browserKeys, vip }: Pick<Config, "browserKeys" | "vip">): boolean {
  const hasExternalLlm = plan === "vip" && vip.providers.length > 0;
  return !hasExternalLlm && browserKeys[planModels[plan]] !== undefined;
}
