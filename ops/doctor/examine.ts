import { redact } from "../../runpod/error";
import { examineAws, findResources } from "./aws/examineAws";
import { readApiUrl } from "./aws/http";
import type { Check } from "./check";
import { examineProviders } from "./providers/examineProviders";
import { type ExamineOptions, examineRunpod } from "./runpod/examineRunpod";
import { examineStripe } from "./stripe/examineStripe";
import type { Target } from "./target";

/** Default timeout of one call. */
const TIMEOUT_MS = 10_000;

/**
 * Checks every part of a stack: AWS, Stripe, the external LLMs and RunPod. Changes nothing. All services are read at the same
 * time; a service that cannot be read stops no other.
 *
 * @param options.timeoutMs timeout of one call
 * @param options.logMs time to read the log of a worker that is not ready
 * @returns one line per check, without secrets
 */
export async function examine(target: Target, options: Partial<ExamineOptions> = {}): Promise<Check[]> {
  const { timeoutMs = TIMEOUT_MS, logMs } = options;
  const found = findResources(target);
  const apiUrl = found
    .then((all) => ("unread" in all ? undefined : readApiUrl(all.apis, target.config.domains?.api, target.aws)))
    .catch(() => undefined);
  const checks = await Promise.all([
    found.then((all) => examineAws(target, all, timeoutMs)),
    examineStripe(target, apiUrl, timeoutMs),
    examineProviders(target, timeoutMs),
    examineRunpod(target, { timeoutMs, logMs }),
  ]);
  return hideSecrets(checks.flat(), target);
}

/** Removes the target's secrets from the findings, because a service may quote them. */
export function hideSecrets(checks: Check[], target: Target): Check[] {
  const { apiKey, stripeKey, stripeWebhookKey, browserKeys, providers } = target;
  const ofProviders = Object.values(providers).map(({ key }) => key);
  const secrets = [apiKey, stripeKey, stripeWebhookKey, ...Object.values(browserKeys), ...ofProviders].flatMap(
    (secret) => (typeof secret === "object" ? [secret.key] : []),
  );
  return checks.map((check) => ({ ...check, seen: redact(check.seen, secrets) }));
}
