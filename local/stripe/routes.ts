import type { StripeAccount } from "./account";
import type { Route } from "./route";
import { catalogueRoutes } from "./routes/catalogue";
import { checkoutSessionsRoutes } from "./routes/checkoutSessions";
import { couponsRoutes } from "./routes/coupons";
import { customersRoutes } from "./routes/customers";
import { eventsRoutes } from "./routes/events";
import { invoicesRoutes } from "./routes/invoices";
import { paymentsRoutes } from "./routes/payments";
import { portalSessionsRoutes } from "./routes/portalSessions";
import { subscriptionsRoutes } from "./routes/subscriptions";
import { testClocksRoutes } from "./routes/testClocks";
import { webhookEndpointsRoutes } from "./routes/webhookEndpoints";
import type { Switches } from "./switches";

/** Every API call that the double supports. The double answers any other call as Stripe answers an unknown URL. */
export function routes(account: StripeAccount, switches: Switches): Route[] {
  return [
    customersRoutes,
    catalogueRoutes,
    couponsRoutes,
    checkoutSessionsRoutes,
    portalSessionsRoutes,
    subscriptionsRoutes,
    invoicesRoutes,
    paymentsRoutes,
    eventsRoutes,
    webhookEndpointsRoutes,
    testClocksRoutes,
  ].flatMap((of) => of(account, switches));
}
