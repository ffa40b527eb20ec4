import type { Model } from "../../contract/plan";
import type { SecretApi, TemplateRecord } from "../../runpod/client";
import { messageOf } from "../../runpod/error";
import { secretNamesIn } from "../../runpod/secretReference";
import { type Check, failed, ok, warning } from "./check";

/**
 * Checks that RunPod has every secret to which a template refers. A missing secret does not stop a worker: its variable
 * then has no value.
 *
 * @returns no line for a template without secrets
 */
export async function checkWorkerSecrets(
  model: Model,
  client: Pick<SecretApi, "listSecrets">,
  { env }: Pick<TemplateRecord, "env">,
): Promise<Check[]> {
  const label = `${model} secrets`;
  const names = secretNamesIn(env);
  if (names.length === 0) return [];
  try {
    const known = (await client.listSecrets()).map(({ name }) => name);
    const missing = names.filter((name) => !known.includes(name));
    if (missing.length === 0) return [ok(label, names.join(", "))];
    return [
      failed(label, `RunPod does not have ${missing.join(", ")}`, `Run "pulumi up --refresh": it stores them again.`),
    ];
  } catch (error) {
    return [warning(label, `cannot be read: ${messageOf(error)}`, "Run the doctor again.")];
  }
}
