/** Explanation of an alarm code, for the alarm's message and the runbook. */
interface AlarmCodeText {
  /** Meaning for the operator. */
  means: string;
  /** First command to run. `<stack>` stands for the name of the stack. */
  run: string;
}

const listEvents = "npm run admin -- --stack <stack> events";
const runDoctor = "npm run doctor -- --stack <stack>";

/**
 * Registry of the codes that functions write to the log as `{alarm: <code>}`. Each code has a CloudWatch alarm. A type
 * error names a code that is missing here.
 */
export const alarmCodes = {
  unknown_customer: {
    means: "Stripe or the users table does not know a Stripe customer. The Stripe key may belong to another account.",
    run: listEvents,
  },
  another_customer: {
    means: "A purchase names a user who is linked to another Stripe customer. The linked customer keeps the plan.",
    run: listEvents,
  },
  customer_of_two_users: {
    means: "Two users have the same Stripe customer. One of the links is wrong: unlink it.",
    run: listEvents,
  },
  two_live_subscriptions: {
    means: "A customer pays for two subscriptions at the same time. Refund and cancel one in Stripe's dashboard.",
    run: listEvents,
  },
  unknown_status: {
    means: "Stripe sent a subscription status that the program does not know. The status gives no plan.",
    run: listEvents,
  },
  unknown_price: {
    means: "A customer pays a price that is in no list of billing.prices. The price gives no plan.",
    run: listEvents,
  },
  open_dispute: {
    means:
      "A customer disputes a payment at their bank. The dispute takes the plan away. Answer it in Stripe's dashboard.",
    run: listEvents,
  },
  paid_subscription_canceled: {
    means: "The program canceled a subscription that was paid in the meantime. The customer may need a refund.",
    run: listEvents,
  },
  portal_cannot_change_plan: {
    means: "The customer portal's configuration in Stripe does not allow customers to change their plan.",
    run: runDoctor,
  },
  event_not_recorded: {
    means:
      "A Stripe event was handled but not recorded. The reconciler will handle it a second time, which is harmless.",
    run: listEvents,
  },
  event_not_counted: {
    means: "The ephemeral table did not answer the webhook. Events are handled, but their limits do not work.",
    run: runDoctor,
  },
  reconciler_failed: {
    means: "The reconciler could not handle an event or sync a customer. The next run tries again.",
    run: listEvents,
  },
  reconciler_incomplete: {
    means:
      "The reconciler ran out of time. The next run continues. If the alarm repeats, there are too many customers.",
    run: listEvents,
  },
  relay_provider: {
    means: "An external LLM or RunPod refuses the relay's requests: wrong key, no quota, unknown model or bad request.",
    run: runDoctor,
  },
  usage_not_settled: {
    means: "The relay could not write a chat's real use. The reservation expires by itself.",
    run: runDoctor,
  },
  vip_spend_ceiling: {
    means:
      "The day's spend on external LLMs has reached vip.dailyUsd. Until midnight UTC, GPU workers answer the vip plan.",
    run: "pulumi config get --path vip.dailyUsd --stack <stack>",
  },
  unknown_vip_provider: {
    means: "The relay's variable VIP_PROVIDERS names a provider that the program does not know.",
    run: runDoctor,
  },
  runpod_unreadable: {
    means:
      "A function cannot read a part of an endpoint from RunPod. The log line names the part. Its metrics are missing.",
    run: runDoctor,
  },
  candidate_unreadable: {
    means:
      "A function cannot read the parameter of a model's candidate. It uses the last known candidate for 60 s, and then the released model. The released model answers at once when the parameter is not valid.",
    run: runDoctor,
  },
  keep_alive_failed: {
    means:
      "Three attempts to send a keep-alive job failed within half an hour. RunPod shrinks an endpoint after three days without a job.",
    run: runDoctor,
  },
} as const satisfies Record<string, AlarmCodeText>;

/** Code of an alarm in the log. */
export type AlarmCode = keyof typeof alarmCodes;
