import * as pulumi from "@pulumi/pulumi";

type Provider = typeof import("./ticketKeyProvider");

/** Forwards only: Pulumi stores the text of these methods in the stack's state, so the code is in another file. */
const provider: pulumi.dynamic.ResourceProvider = {
  create: (inputs) => (require("./.build/infra/ticketKeyProvider.cjs") as Provider).create(inputs),
  diff: (_id, olds, news) => (require("./.build/infra/ticketKeyProvider.cjs") as Provider).diff(olds, news),
};

/** An Ed25519 key pair that signs tickets. Another number creates another key. */
export class TicketKey extends pulumi.dynamic.Resource {
  /** Secret. Private JWK as JSON. */
  declare readonly privateJwk: pulumi.Output<string>;
  /** Public JWK as JSON. */
  declare readonly publicJwk: pulumi.Output<string>;

  constructor(name: string, args: { number: number }, opts?: pulumi.CustomResourceOptions) {
    const secret = { additionalSecretOutputs: ["privateJwk"] };
    const props = { privateJwk: undefined, publicJwk: undefined, ...args };
    super(provider, name, props, pulumi.mergeOptions(opts, secret), "tickets", "TicketKey");
  }
}
