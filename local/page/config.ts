import type { PaidPlan } from "@snack-misaki/client";

/** Billing periods at Stripe. */
export const intervals = ["day", "week", "month", "year"] as const;
export type Interval = (typeof intervals)[number];

/** A plan that is for sale, as Stripe describes it. Has no name and no price when Stripe did not answer. */
export interface Offer {
  plan: PaidPlan;
  /** Name of the product, as on Stripe's pages. */
  name?: string;
  price?: {
    /** In the currency's smallest unit, as at Stripe. */
    amount: number;
    /** ISO 4217 code, lower case. */
    currency: string;
    /** Length of one period. */
    interval: Interval;
  };
}

/** Options of `client/` for a frontend at one origin. */
export interface FrontendConfig {
  /** Base URL of the auth/billing API. */
  apiUrl: string;
  auth: {
    /** Origin of Cognito's hosted domain. */
    url: string;
    clientId: string;
    /** `iss` of the user pool's ID tokens. */
    issuer: string;
    redirectUri: string;
    logoutUri: string;
    scopes: string[];
  };
}

/** The evaluated program's outputs for the page, served as `/config.json`. */
export interface PageConfig extends FrontendConfig {
  relayUrl: string;
  /** URL of each model's job API. */
  inference: Record<string, string>;
  /** Plans for sale, the cheapest first. */
  offers: Offer[];
  /** Milliseconds that the relay waits for the first text of a reply. */
  waitLimitMs: number;
  stack: string;
  /** True when there is no Python worker: every reply is the same canned text. */
  canned: boolean;
}
