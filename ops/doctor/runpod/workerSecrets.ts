import type { SecretApi, TemplateRecord } from "../../../runpod/client";
import { messageOf } from "../../../runpod/error";
import { secretNamesIn } from "../../../runpod/secretReference";
import { type Check, failed, ok, unknown } from "../check";

/**
 * Checks that RunPod has every secret to which a template refers. Unconfirmed: a missing secret does not stop a worker,
 * and its variable then contains the text of the reference.
 *
 * @returns no line for a template without secrets
 */
export async function checkWorkerSecrets(
  version: string,
  client: Pick<SecretApi, "listSecrets">,
  { env }: Pick<TemplateRecord, "env">,
): Promise<Check[]> {
  const label = `${version} secrets`;
  const names = secretNamesIn(env);
  if (names.length === 0) return [];
  try {
    const { items, unreadable } = await client.listSecrets();
    const missing = names.filter((name) => !items.some((each) => each.name === name));
    if (missing.length === 0) return [ok(label, names.join(", "))];
    if (unreadable.length > 0) {
      const why = `RunPod's list has an entry that cannot be read, so it is unknown whether ${missing.join(", ")} exists`;
      return [unknown(label, why, "Look for the secret in RunPod's console.")];
    }
    return [
      failed(label, `RunPod does not have ${missing.join(", ")}`, `Run "pulumi up --refresh": it stores them again.`),
    ];
  } catch (error) {
    return [unknown(label, `cannot be read: ${messageOf(error)}`, "Run the doctor again.")];
  }
}
