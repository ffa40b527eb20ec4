import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "./config";
import { TicketKey } from "./ticketKey";

/**
 * The keys that sign tickets. The private one is an SSM SecureString that only the session functions read; the public
 * ones go to the workers. To rotate: accept the new number, then sign with it, then stop accepting the old one, and wait
 * between these until the workers have rolled over and no function or ticket knows the old key (`Pulumi.dev.yaml`).
 */
export class Tickets extends pulumi.ComponentResource {
  /** `iss` of this stack's tickets. */
  readonly issuer: string;
  /** Holds the private JWK that signs. */
  readonly signingKey: aws.ssm.Parameter;
  /** Public keys as a JSON Web Key Set. */
  readonly jwks: pulumi.Output<string>;

  constructor(name: string, args: Pick<Config, "stack" | "ticketKeys">, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Tickets", name, {}, opts);
    const child = { parent: this };
    const { signing, accepted } = args.ticketKeys;
    const keys = new Map(accepted.map((number) => [number, new TicketKey(`ticket-key-${number}`, { number }, child)]));
    const signer = keys.get(signing);
    if (!signer) throw new Error(`ticketKeys.accepted does not include ${signing}`);

    this.issuer = `snack-misaki/${args.stack}`;
    this.jwks = pulumi
      .all([...keys.values()].map((key) => key.publicJwk))
      .apply((publicJwks) => `{"keys":[${publicJwks.join(",")}]}`);
    this.signingKey = new aws.ssm.Parameter(
      "ticket-signing-key",
      { name: `/snack-misaki/${args.stack}/ticket-signing-key`, type: "SecureString", value: signer.privateJwk },
      child,
    );
    this.registerOutputs();
  }
}
