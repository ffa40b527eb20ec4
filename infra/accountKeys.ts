import * as pulumi from "@pulumi/pulumi";
import { type VipProvider, vipProviders } from "../contract/relay";
import { stackNames } from "../names";
import type { Config } from "./config";
import { createSecret, type Secret } from "./secrets";

/** Arguments of `AccountKeys`. */
export interface AccountKeysArgs {
  config: Pick<Config, "stack" | "runpodApiKey" | "providerKeys">;
}

/** Keys of the operator's accounts at RunPod and at the external LLMs, for the functions that call them. */
export class AccountKeys extends pulumi.ComponentResource {
  readonly runpod: Secret;
  readonly providers: Partial<Record<VipProvider, Secret>>;

  constructor(name: string, { config }: AccountKeysArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:AccountKeys", name, {}, opts);
    const child = { parent: this };
    const { parameters } = stackNames(config.stack);
    this.runpod = createSecret(
      "runpod-api-key",
      { name: parameters.runpodApiKey, value: config.runpodApiKey },
      // In older stacks, the parameter's parent is the registry. The alias keeps the parameter.
      { ...child, aliases: [{ parent: pulumi.createUrn("registry", "snack:infra:Registry") }] },
    );
    const secrets = vipProviders.flatMap((provider) => {
      const value = config.providerKeys[provider];
      const parameter = parameters.providerKey(provider);
      return value ? [[provider, createSecret(`${provider}-key`, { name: parameter, value }, child)]] : [];
    });
    this.providers = Object.fromEntries(secrets);
    this.registerOutputs({});
  }
}
