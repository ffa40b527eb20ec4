import { vipProviderKeys } from "../../../contract/relay";
import { awsTodo } from "../../awsTodo";
import { attempt, type Check, unknown } from "../check";
import { secretTodo } from "../secrets";
import { providerKeyVariable, type Target } from "../target";
import { checkBedrock } from "./bedrock";
import { checkModel } from "./models";

/** Checks that each external LLM of `vip.providers` still offers the configured model. */
export async function examineProviders({ config, providers, aws }: Target, timeoutMs: number): Promise<Check[]> {
  const checks = config.vip.providers.map(async (name): Promise<Check[]> => {
    const label = `${name} model`;
    const settings = config.vip[name];
    if (!settings) return [unknown(label, `vip.${name} is not set`, `Set vip.${name} in the stack's configuration.`)];
    const { model } = settings;
    const { baseUrl = settings.baseUrl, key } = providers[name] ?? {};
    if (name === "bedrock") return attempt(label, awsTodo, () => checkBedrock(model, config.vip.bedrock?.region, aws));
    if (typeof key !== "object") {
      const seen =
        key === "unread" ? "the key is encrypted, and the pulumi command could not read it" : "the key is not set";
      const secret = vipProviderKeys[name];
      return [unknown(label, seen, secretTodo(key, secret, providerKeyVariable(secret), config.stack))];
    }
    return [await checkModel({ name, model, key: key.key, baseUrl, timeoutMs })];
  });
  return (await Promise.all(checks)).flat();
}
