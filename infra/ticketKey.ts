import * as pulumi from "@pulumi/pulumi";

type Provider = typeof import("./ticketKeyProvider");

/**
 * Each method only calls the code in another file, because Pulumi stores the text of these methods in the stack's
 * state.
 */
const provider: pulumi.dynamic.ResourceProvider = {
  create: (inputs) => (require("./.build/infra/ticketKeyProvider.cjs") as Provider).create(inputs),
  diff: (_id, olds, news) => (require("./.build/infra/ticketKeyProvider.cjs") as Provider).diff(olds, news),
};

/** An Ed25519 key pair that signs tickets. A different `number` creates a new key pair. */
export class TicketKey extends pulumi.dynamic.Resource {
  /** Private JWK as JSON. A secret output. */
  declare readonly privateJwk: pulumi.Output<string>;
  /** Public JWK as JSON. */
  declare readonly publicJwk: pulumi.Output<string>;

  constructor(name: string, args: { number: number }, opts?: pulumi.CustomResourceOptions) {
    const secret = { additionalSecretOutputs: ["privateJwk"] };
    const props = { privateJwk: undefined, publicJwk: undefined, ...args };
    super(provider, name, props, pulumi.mergeOptions(opts, secret), "tickets", "TicketKey");
  }
}
