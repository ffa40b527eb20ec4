/** The Stripe double's switches that the page can turn, in the order it shows them. */
export const panelSwitches = ["hold", "duplicate", "delay", "reorder", "lose"] as const;
export type PanelSwitch = (typeof panelSwitches)[number];

/**
 * What the page's panel does with the Stripe double. Customers are named by their Cognito `sub`. Whatever cannot be done
 * is thrown as an Error whose message the page shows: that there is nothing to dispute, for example.
 */
export interface StripePanel {
  /** Unix seconds on the double's clock. */
  now(): number;
  /** Moves the clock, and with it every customer: renewals, retries and cancels happen on the way. */
  advance(seconds: number): Promise<void>;
  /** Puts a card in place that every later charge fails on (4000 0000 0000 0341). */
  failNextRenewal(userId: string): Promise<void>;
  /** Puts a card in place that works (4242 4242 4242 4242), and pays with it what is open. */
  mendCard(userId: string): Promise<void>;
  /** Disputes the last payment at the customer's bank. */
  dispute(userId: string): Promise<void>;
  /** Decides the open dispute. */
  closeDispute(userId: string, outcome: "won" | "lost"): Promise<void>;
  /** Refunds the last payment. */
  refund(userId: string): Promise<void>;
  switches(): Record<PanelSwitch, boolean>;
  /** `hold` turned off releases what was held. */
  setSwitch(name: PanelSwitch, on: boolean): Promise<void>;
}

/** What the page shows of the double: answer of `GET /stripe` and of every `POST /stripe/<action>`. */
export interface PanelState {
  /** Unix seconds on the double's clock. */
  now: number;
  switches: Record<PanelSwitch, boolean>;
}
