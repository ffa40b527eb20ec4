import type { Limits, Plan } from "../../contract/plan";

/** Limits of one job, by plan. They are signed into the ticket and enforced by the worker. */
export const planLimits: Readonly<Record<Plan, Limits>> = {
  free: { max_tokens: 256, max_messages: 20, max_input_chars: 1_000 },
  paid: { max_tokens: 512, max_messages: 40, max_input_chars: 2_000 },
  vip: { max_tokens: 512, max_messages: 40, max_input_chars: 2_000 },
};
