import { models } from "../../contract/plan";
import { missingSecret } from "../../dynamic/config";
import type { PlainConfig } from "../../infra/configSchema";
import { type Difference, leavesOf } from "./differences";
import type { StackFile } from "./stackFile";

/** A setting that is valid but risky. */
export interface Risk {
  key: string;
  /** Possible consequence, and the next step. */
  warning: string;
}

/** Arguments of `risks`. */
interface RiskArgs {
  file: StackFile;
  against: StackFile;
  differences: Difference[];
  /** Whether the Stripe key could be read and is a key of Stripe's test mode. */
  hasTestKey: boolean;
}

/** Lists missing secrets, and for a prod stack the settings that customers or the operator would regret. */
export function risks({ file, against, differences, hasTestKey }: RiskArgs): Risk[] {
  const missing = [...file.missingSecrets, ...missingStripeSecrets(file)];
  const secrets = missing.map((key) => ({ key, warning: missingSecret(key).slice(key.length + 2) }));
  const { config } = file;
  if (!config || !isProduction(file.stack)) return secrets;
  return [
    ...secrets,
    ...unprotected(config),
    ...(hasTestKey
      ? [
          {
            key: "stripeApiKey",
            warning: "is a key of Stripe's test mode, so nobody really pays: set a live key, rk_live_…",
          },
        ]
      : []),
    ...localUrls(config),
    ...unchangedExamples(config),
    ...unheard(file),
    ...unreleased(config),
    ...(config.auth.email
      ? []
      : [
          {
            key: "auth.email",
            warning: "is missing: Cognito sends at most about 50 e-mails a day, so customers cannot sign up",
          },
        ]),
    ...smallerLimits(differences, against.stack),
    ...shared(config, against),
  ];
}

/** Whether a stack serves real customers: its name begins with prod. */
function isProduction(stack: string): boolean {
  return stack.startsWith("prod");
}

/** Without these secrets the stack is valid, but customers cannot pay. */
function missingStripeSecrets({ config, secrets }: StackFile): string[] {
  const sells = config && Object.values(config.billing.prices).some((ids) => ids.length > 0);
  if (!sells) return [];
  const hasWebhook = secrets.includes("stripeWebhookKey") || secrets.includes("stripeWebhookSecret");
  return ["stripeApiKey", "stripeWebhookKey"].filter(
    (key) => !secrets.includes(key) && !(key === "stripeWebhookKey" && hasWebhook),
  );
}

function unprotected({ deletionProtection }: PlainConfig): Risk[] {
  if (deletionProtection) return [];
  const warning = "is false: one pulumi destroy deletes all customers. Set it to true";
  return [{ key: "deletionProtection", warning }];
}

function localUrls({ frontend, billing }: PlainConfig): Risk[] {
  const lists = { ...frontend, returnUrls: billing.returnUrls ?? [] };
  return Object.entries(lists).flatMap(([name, urls]) => {
    const local = urls.filter((url) => /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/|$)/.test(url));
    const key = name === "returnUrls" ? "billing.returnUrls" : `frontend.${name}`;
    const warning = `contains ${local.join(", ")}: a page on a visitor's own machine may then act for the product. Remove it`;
    return local.length > 0 ? [{ key, warning }] : [];
  });
}

/** Names under the reserved domain `.example`, and the account id of AWS's documentation. */
const exampleValue = /\.example(?=[^\w.-]|$)|:123456789012:/;

function unchangedExamples(config: PlainConfig): Risk[] {
  return [...leavesOf(config)].flatMap(([key, value]) => {
    const examples = [value].flat().filter((each) => exampleValue.test(String(each)));
    const warning = `still has the example ${examples.join(", ")}. Write your own value`;
    return examples.length > 0 ? [{ key, warning }] : [];
  });
}

function unheard({ config, secrets }: StackFile): Risk[] {
  if (!config || config.operations.emails.length > 0) return [];
  const reader = secrets.includes("alarmWebhookUrl")
    ? "only the alarms that page reach somebody"
    : "nobody gets the alarms";
  return [{ key: "operations.emails", warning: `is empty: ${reader}. Add an address` }];
}

/** A candidate that answers everybody is not compared with the released model any more. */
function unreleased(config: PlainConfig): Risk[] {
  return models
    .filter((model) => config[model].candidate?.share === 100)
    .map((model) => ({
      key: `${model}.candidate.share`,
      warning:
        "is 100: all customers get the candidate, and there are no replies to compare with. Promote it, or set a smaller share",
    }));
}

const limits =
  /^(relay\.concurrency|relay\.limits\.\w+\.\w+|throttle\..+|guest\.sessionsPerHour|vip\.dailyUsd|\w+\.workersMax|runpodWorkerQuota)$/;

function smallerLimits(differences: Difference[], against: string): Risk[] {
  return differences.flatMap(({ key, value, against: other }) => {
    if (!limits.test(key) || typeof value !== "number" || typeof other !== "number") return [];
    // -1 is no limit.
    const [own, others] = [value, other].map((limit) => (limit === -1 ? Number.POSITIVE_INFINITY : limit));
    if (own === undefined || others === undefined || own >= others) return [];
    return [{ key, warning: `is ${value}, smaller than ${other} of ${against}: customers reach this limit earlier` }];
  });
}

/** Values that two stacks cannot share. */
function shared({ auth, billing, domains }: PlainConfig, { stack, config: other }: StackFile): Risk[] {
  if (!other) return [];
  const prices = Object.values(billing.prices).flat();
  const common = Object.values(other.billing.prices)
    .flat()
    .filter((id) => prices.includes(id));
  return [
    ...sharedHosts(domains, other.domains, stack),
    ...(auth.domainPrefix === other.auth.domainPrefix
      ? [
          {
            key: "auth.domainPrefix",
            warning: `is also that of ${stack}, but it must be unique in the Region. Choose another one`,
          },
        ]
      : []),
    ...(common.length > 0
      ? [
          {
            key: "billing.prices",
            warning: `contains ${common.join(", ")} of ${stack}: use the prices of Stripe's live mode`,
          },
        ]
      : []),
  ];
}

/** Host names that another stack has, too. */
function sharedHosts(own: PlainConfig["domains"], others: PlainConfig["domains"], stack: string): Risk[] {
  const { zone: _, ...taken } = { ...others };
  return (["api", "signIn", "relay"] as const).flatMap((key) => {
    const host = own?.[key];
    if (host === undefined || !Object.values(taken).includes(host)) return [];
    const warning = `is ${host}, as in ${stack}, but a host name leads to one stack only. Choose another one`;
    return [{ key: `domains.${key}`, warning }];
  });
}
