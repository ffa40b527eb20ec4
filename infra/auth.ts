import * as pulumi from "@pulumi/pulumi";
import type { Settings as GuestSettings } from "../functions/guest";
import type { Settings as SessionSettings } from "../functions/session";
import type { SessionSettings as SharedSettings } from "../functions/sessionSources";
import type { Config } from "./config";
import type { Data } from "./data";
import type { Identity } from "./identity";
import type { Inference } from "./inference";
import { Lambda, type Statement } from "./lambda";
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

    const shared: pulumi.Output<SharedSettings> = pulumi.output({
      ticketIssuer: tickets.issuer,
      signingKeyParameter: tickets.signingKey.name,
      inferenceUrls: { phi3: phi3.url, mistral: mistral.url },
      browserKeyParameters: {
        ...(phi3.browserKey && { phi3: phi3.browserKey.name }),
        ...(mistral.browserKey && { mistral: mistral.browserKey.name }),
      },
    });
    const secrets = [tickets.signingKey, phi3.browserKey, mistral.browserKey].flatMap((secret) => secret?.arn ?? []);
    // Decryption with the account's own aws/ssm key comes with the parameter; it needs no statement.
    const readSecrets: Statement = { Action: ["ssm:GetParameters"], Resource: secrets };

    this.session = new Lambda(
      "session",
      {
        bundle: "session",
        settings: pulumi
          .all([shared, identity.userPoolId, identity.clientId, data.users.name])
          .apply(([sharedSettings, userPoolId, clientId, usersTable]) => ({
            ...sharedSettings,
            userPoolId,
            clientId,
            usersTable,
          })),
        statements: [readSecrets, { Action: ["dynamodb:GetItem"], Resource: [data.users.arn] }],
      },
      child,
    );
    this.guest = new Lambda(
      "guest",
      {
        bundle: "guest",
        settings: pulumi.all([shared, data.ephemeral.name]).apply(([sharedSettings, ephemeralTable]) => ({
          ...sharedSettings,
          ephemeralTable,
          sessionsPerHour: config.guest.sessionsPerHour,
        })),
        statements: [readSecrets, { Action: ["dynamodb:UpdateItem"], Resource: [data.ephemeral.arn] }],
      },
      child,
    );
    this.registerOutputs();
  }
}
