import * as pulumi from "@pulumi/pulumi";
import { createAlarms, type Functions } from "./alarmResources";
import type { HttpApi } from "./api";
import type { Auth } from "./auth";
import type { Billing } from "./billing";
import { createCanary } from "./canary";
import { createDashboard } from "./dashboard";
import { createLogQueries } from "./logQueries";
import { createNotifications, type NotificationsConfig } from "./notifications";
import { createPoller, type PollerArgs } from "./poller";
import type { Relay } from "./relay";

/** Arguments of `Operations`. */
export interface OperationsArgs extends PollerArgs {
  config: PollerArgs["config"] & NotificationsConfig;
  api: HttpApi;
  auth: Auth;
  billing: Billing;
  relay: Relay;
}

/**
 * Monitoring of a stack: the poller that publishes RunPod's numbers, the canary function that watches candidates, the alarms
 * with their messages, the dashboard and the log queries.
 */
export class Operations extends pulumi.ComponentResource {
  constructor(name: string, args: OperationsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("snack:infra:Operations", name, {}, opts);
    const child = { parent: this };
    const { config, auth, billing, relay, registry, api } = args;
    const notifications = createNotifications(name, config, child);
    const poller = createPoller(args, child);
    const canary = createCanary({ ...args, notifications }, child);
    const functions: Functions = {
      session: auth.session,
      guest: auth.guest,
      plan: billing.plan,
      checkout: billing.checkout,
      portal: billing.portal,
      sync: billing.sync,
      webhook: billing.webhook,
      reconciler: billing.reconciler,
      admin: billing.admin,
      relay: relay.lambda,
      poller,
      canary,
      ...(registry.refresh && { registryRefresh: registry.refresh.lambda }),
    };
    const sources = { functions, apiId: api.id, failedRuns: registry.refresh?.failedRuns };
    createAlarms({ config, sources, notifications }, child);
    createDashboard({ config, sources }, child);
    createLogQueries({ config, functions }, child);
    this.registerOutputs({});
  }
}
