import * as pulumi from "@pulumi/pulumi";
import type { Model } from "../contract/plan";
import type { Settings as GuestSettings } from "../functions/guest";
import type { DirectInference } from "../functions/lib/sessionSources";
import type { Settings as SessionSettings } from "../functions/session";
import type { Config } from "./config";
import type { Data } from "./data";
import type { Identity } from "./identity";
import type { Inference } from "./inference";
import { Lambda, type Statement } from "./lambda";
import { billingPolicy } from "./policy";
import type { Tickets } from "./tickets";

/** What opens chat sessions: for customers by their ID token, for guests by their address. */
export class Auth extends pulumi.ComponentResource {
  readonly session: Lambda<SessionSettings>;
  readonly guest: Lambda<GuestSettings>;

  constructor(
    name: string,
    args: {
      config: Config;
      identity: Identity;
      data: Data;
      tickets: Tickets;
      inference: { phi3: Inference; mistral: Inference };
    },
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("snack:infra:Auth", name, {}, opts);
    const child = { parent: this };
    const { config, identity, data, tickets } = args;
    const { phi3, mistral } = args.inference;

    // Decryption with the account's own aws/ssm key comes with the parameter; it needs no statement of its own.
    const readSecrets = (...endpoints: Inference[]): Statement => ({
      Action: ["ssm:GetParameters"],
      Resource: [tickets.signingKey, ...endpoints.map(({ browserKey }) => browserKey)].flatMap((key) => key?.arn ?? []),
    });
    const signing = { ticketIssuer: tickets.issuer, signingKeyParameter: tickets.signingKey.name };

    this.session = new Lambda(
      "session",
      {
        bundle: "session",
        settings: pulumi.output({
          ...signing,
          direct: direct({ phi3, mistral }),
          userPoolId: identity.userPoolId,
          clientId: identity.clientId,
          usersTable: data.users.name,
          policy: billingPolicy(config),
        }),
        statements: [readSecrets(phi3, mistral), { Action: ["dynamodb:GetItem"], Resource: [data.users.arn] }],
      },
      child,
    );
    // Guests are always free, so this one knows nothing of the other model.
    this.guest = new Lambda(
      "guest",
      {
        bundle: "guest",
        settings: pulumi.output({
          ...signing,
          direct: direct({ phi3 }),
          ephemeralTable: data.ephemeral.name,
          sessionsPerHour: config.guest.sessionsPerHour,
        }),
        statements: [readSecrets(phi3), { Action: ["dynamodb:UpdateItem"], Resource: [data.ephemeral.arn] }],
      },
      child,
    );
    this.registerOutputs();
  }
}

/** What a function must know of those endpoints that browsers have a key for. */
function direct(endpoints: Partial<Record<Model, Inference>>): Partial<Record<Model, pulumi.Output<DirectInference>>> {
  const reachable = Object.entries(endpoints).flatMap(([model, { url, browserKey }]) =>
    browserKey ? [[model, pulumi.output({ url, browserKeyParameter: browserKey.name })]] : [],
  );
  return Object.fromEntries(reachable);
}
