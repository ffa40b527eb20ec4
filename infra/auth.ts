import * as pulumi from "@pulumi/pulumi";
import { type Model, type Plan, planModels } from "../contract/plan";
import type { Route } from "../functions/core/session";
import type { Settings as GuestSettings } from "../functions/guest";
import type { Settings as SessionSettings } from "../functions/session";
import { candidateSettings, readCandidates } from "./candidate";
import type { Config } from "./config";
import type { Data } from "./data";
import type { Identity } from "./identity";
import type { Inference } from "./inference";
import { Lambda } from "./lambda";
import type { Relay } from "./relay";
import { isDirect } from "./routes";
import { readSecrets, type Secret } from "./secrets";
import type { Tickets } from "./tickets";

/** Arguments of `Auth`. */
export interface AuthArgs {
  config: Pick<Config, "stack" | "planPolicy" | "guest" | "browserKeys" | "vip">;
  identity: Identity;
  data: Data;
  /** Signs the sessions' tickets. */
  tickets: Tickets;
  /** Sends chats to the models. A session contains the relay's URL. */
  relay: Relay;
  /** Endpoint of each model. A session contains the endpoint's URL if the model has a browser key. */
  endpoints: Record<Model, Inference>;
}

/** The functions that create chat sessions. They identify customers by ID token and guests by IP address. */
export class Auth extends pulumi.ComponentResource {
  readonly session: Lambda<SessionSettings>;
  readonly guest: Lambda<GuestSettings>;

  constructor(name: string, args: AuthArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Auth", name, {}, opts);
    const child = { parent: this };
    const { config, identity, data, tickets } = args;
    const signing = {
      ticketIssuer: tickets.issuer,
      signingKeyParameter: tickets.signingKey.name,
      ...candidateSettings(config.stack),
    };
    const candidates = readCandidates(config.stack, tickets.signingKey);
    const [free, paid, vip] = [routeOf("free", args), routeOf("paid", args), routeOf("vip", args)];

    this.session = new Lambda(
      "session",
      {
        bundle: "session",
        settings: pulumi.output({
          ...signing,
          routes: { free: free.route, paid: paid.route, vip: vip.route },
          userPoolId: identity.userPoolId,
          clientId: identity.clientId,
          usersTable: data.users.name,
          policy: config.planPolicy,
        }),
        statements: [...readSecrets(tickets.signingKey, free.key, paid.key, vip.key), candidates, data.users.read()],
      },
      child,
    );
    // Guests always have the free plan.
    this.guest = new Lambda(
      "guest",
      {
        bundle: "guest",
        settings: pulumi.output({
          ...signing,
          ticketJwks: tickets.jwks,
          route: free.route,
          ephemeralTable: data.ephemeral.name,
          sessionsPerHour: config.guest.sessionsPerHour,
        }),
        statements: [
          ...readSecrets(tickets.signingKey, free.key),
          candidates,
          data.ephemeral.count("guest", "guest-renewal"),
        ],
      },
      child,
    );
    this.registerOutputs({ session: this.session.function.name, guest: this.guest.function.name });
  }
}

/** Route of a plan's chats, and the browser key that the route needs. */
function routeOf(
  plan: Plan,
  { config, relay, endpoints }: AuthArgs,
): { route: pulumi.Output<Route>; key: Secret | undefined } {
  const { url, browserKey: key } = endpoints[planModels[plan]];
  if (key && isDirect(plan, config)) {
    return {
      route: pulumi.output({ kind: "runpod" as const, url, browserKeyParameter: key.name, relayUrl: relay.url }),
      key,
    };
  }
  return { route: pulumi.output({ kind: "relay" as const, url: relay.url }), key: undefined };
}
