/** Switches of the Stripe double on the page, in display order. */
export const panelSwitches = ["hold", "duplicate", "delay", "reorder", "lose"] as const;
export type PanelSwitch = (typeof panelSwitches)[number];

/** Reasons why an action is impossible. The page has a text for each. */
export const panelRefusalReasons = [
  "noCustomer",
  "noPayment",
  "noDispute",
  "alreadyDisputed",
  "alreadyRefunded",
] as const;
export type PanelRefusalReason = (typeof panelRefusalReasons)[number];

/** An action that is impossible now. */
export class PanelRefusal extends Error {
  override readonly name = "PanelRefusal";

  constructor(
    readonly reason: PanelRefusalReason,
    message: string,
  ) {
    super(message);
  }
}

/**
 * The panel's actions on the Stripe double. Customers are named by Cognito `sub`. An impossible action throws
 * `PanelRefusal`, for example when there is no payment to dispute.
 */
export interface StripePanel {
  /** Unix seconds on the double's clock. */
  now(): number;
  /** Advances the clock of every customer. This causes all renewals, retries and cancellations up to the new time. */
  advance(seconds: number): Promise<void>;
  /** Sets a card that fails on every later charge (4000 0000 0000 0341). */
  failNextRenewal(userId: string): Promise<void>;
  /** Sets a working card (4242 4242 4242 4242) and pays open invoices with it. */
  mendCard(userId: string): Promise<void>;
  /** Disputes the newest payment at the customer's bank. */
  dispute(userId: string): Promise<void>;
  /** Decides the open dispute. */
  closeDispute(userId: string, outcome: "won" | "lost"): Promise<void>;
  /** Refunds the newest payment. */
  refund(userId: string): Promise<void>;
  switches(): Record<PanelSwitch, boolean>;
  /** Turning `hold` off delivers the held events. */
  setSwitch(name: PanelSwitch, on: boolean): Promise<void>;
}

/** State of the double: the answer of `GET /stripe` and of every `POST /stripe/<action>`. */
export interface PanelState {
  /** Unix seconds on the double's clock. */
  now: number;
  switches: Record<PanelSwitch, boolean>;
}
