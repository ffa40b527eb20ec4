import * as pulumi from "@pulumi/pulumi";
import { type Model, planModels } from "../contract/plan";
import type { Settings as GuestSettings } from "../functions/guest";
import type { DirectInference } from "../functions/lib/sessionSources";
import type { Settings as SessionSettings } from "../functions/session";
import type { Config } from "./config";
import type { Data } from "./data";
import type { Identity } from "./identity";
import type { Inference } from "./inference";
import { Lambda } from "./lambda";
import { readSecrets } from "./secrets";
import type { Tickets } from "./tickets";

/** Arguments of `Auth`. */
export interface AuthArgs {
  config: Pick<Config, "planPolicy" | "guest">;
  identity: Identity;
  data: Data;
  /** Signs the sessions' tickets. */
  tickets: Tickets;
  /** Endpoint of each model. */
  endpoints: Record<Model, Inference>;
}

/** The functions that create chat sessions. They identify customers by ID token and guests by IP address. */
export class Auth extends pulumi.ComponentResource {
  readonly session: Lambda<SessionSettings>;
  readonly guest: Lambda<GuestSettings>;

  constructor(name: string, args: AuthArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Auth", name, {}, opts);
    const child = { parent: this };
    const { config, identity, data, tickets, endpoints } = args;
    const signing = { ticketIssuer: tickets.issuer, signingKeyParameter: tickets.signingKey.name };
    const browserKeys = Object.values(endpoints).map(({ browserKey }) => browserKey);

    this.session = new Lambda(
      "session",
      {
        bundle: "session",
        settings: pulumi.output({
          ...signing,
          direct: directInference(endpoints),
          userPoolId: identity.userPoolId,
          clientId: identity.clientId,
          usersTable: data.users.name,
          policy: config.planPolicy,
        }),
        statements: [...readSecrets(tickets.signingKey, ...browserKeys), data.users.read()],
      },
      child,
    );
    // Guests always have the free plan, so the guest function needs only this plan's model.
    const guestModel = planModels.free;
    this.guest = new Lambda(
      "guest",
      {
        bundle: "guest",
        settings: pulumi.output({
          ...signing,
          direct: directInference({ [guestModel]: endpoints[guestModel] }),
          ephemeralTable: data.ephemeral.name,
          sessionsPerHour: config.guest.sessionsPerHour,
        }),
        statements: [...readSecrets(tickets.signingKey, endpoints[guestModel].browserKey), data.ephemeral.count()],
      },
      child,
    );
    this.registerOutputs({ session: this.session.function.name, guest: this.guest.function.name });
  }
}

/** For each endpoint with a browser key: its URL, and the name of the SSM parameter with the key. */
function directInference(
  endpoints: Partial<Record<Model, Inference>>,
): Partial<Record<Model, pulumi.Output<DirectInference>>> {
  const reachable = Object.entries(endpoints).flatMap(([model, { url, browserKey }]) =>
    browserKey ? [[model, pulumi.output({ url, browserKeyParameter: browserKey.name })]] : [],
  );
  return Object.fromEntries(reachable);
}
