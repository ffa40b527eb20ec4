import * as pulumi from "@pulumi/pulumi";
import { stackNames } from "../names";
import type { Config } from "./config";
import { createSecret, type Secret } from "./secrets";
import { TicketKey } from "./ticketKey";

/** Arguments of `Tickets`. */
export interface TicketsArgs {
  config: Pick<Config, "stack" | "ticketKeys">;
}

/**
 * The keys that sign tickets. The session functions read the private key from Parameter Store. The workers receive the
 * public keys. `Pulumi.dev.yaml` describes how to rotate the keys.
 */
export class Tickets extends pulumi.ComponentResource {
  /** `iss` of the stack's tickets. */
  readonly issuer: string;
  /** Private JWK that signs tickets. */
  readonly signingKey: Secret;
  /** Public keys as a JSON Web Key Set. */
  readonly jwks: pulumi.Output<string>;

  constructor(name: string, { config }: TicketsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Tickets", name, {}, opts);
    const child = { parent: this };
    const { signing, accepted } = config.ticketKeys;
    const keys = new Map(accepted.map((number) => [number, new TicketKey(`ticket-key-${number}`, { number }, child)]));
    const signer = keys.get(signing);
    if (!signer) throw new Error(`ticketKeys.accepted must include ticketKeys.signing, which is ${signing}`);

    const names = stackNames(config.stack);
    this.issuer = names.owner;
    this.jwks = pulumi
      .all([...keys.values()].map((key) => key.publicJwk))
      .apply((publicJwks) => `{"keys":[${publicJwks.join(",")}]}`);
    this.signingKey = createSecret(
      "ticket-signing-key",
      { name: names.parameters.ticketSigningKey, value: signer.privateJwk },
      child,
    );
    this.registerOutputs({ issuer: this.issuer, jwks: this.jwks });
  }
}
