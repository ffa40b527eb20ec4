import type { CloudEvent } from "../support/events";
import { CandidateControls } from "./candidateControls";
import { byId } from "./dom";
import { ModelControls } from "./modelControls";
import { PanelClient } from "./panelClient";
import { StripeControls } from "./stripeControls";
import { startTabs } from "./tabs";

/** Delay before reading a state, because events come in bursts. */
const SETTLE_MS = 200;

/** The developer's drawer: backend calls, payments, models and their candidates. It reads nothing while it is closed. */
export class Drawer {
  private readonly panel = byId("back-room", HTMLDetailsElement);
  private readonly stripe: StripeControls;
  private readonly models: ModelControls;
  private readonly candidates: CandidateControls;
  private readonly settling = new Map<string, ReturnType<typeof setTimeout>>();

  /**
   * @param changed called after every change of the row and after every action at Stripe
   */
  constructor(changed: () => void) {
    const client = new PanelClient();
    this.stripe = new StripeControls(client, changed);
    this.models = new ModelControls(client);
    this.candidates = new CandidateControls(client);
    startTabs("tabs", () => this.load());
    this.panel.addEventListener("toggle", () => this.load());
    setInterval(() => {
      if (this.panel.open) this.stripe.showClock();
    }, 1_000);
  }

  /**
   * Shows a customer's row, and the version of the model that the visitor gets.
   *
   * @param customer Cognito `sub`, undefined when nobody is signed in
   * @param visitor user id of the customer or guest. Undefined before the first session
   */
  setVisitor(customer: string | undefined, visitor: string | undefined): void {
    this.stripe.setCustomer(customer);
    this.candidates.setVisitor(visitor);
    this.load();
  }

  /**
   * Handles a backend event. A database write may have changed the row. A job or a worker may have changed the models'
   * state.
   */
  onEvent({ source, summary }: CloudEvent): void {
    if (!this.panel.open) return;
    const isWrite = source === "dynamodb" && /^(?:Put|Update|Delete|BatchWrite|TransactWrite)/.test(summary);
    if (isWrite) this.soon("row", () => this.stripe.loadRow());
    if (source === "runpod" || source === "worker") this.soon("models", () => this.models.load());
    // The candidates change only after a chat or a verdict. A read calls the admin function, so other events must not
    // cause a read.
    const isJudged = source === "lambda" && /-(?:relay|canary)\b/.test(summary);
    if (isJudged && this.candidates.isShown) this.soon("candidates", () => this.candidates.load());
  }

  private load(): void {
    if (this.panel.open) void Promise.all([this.stripe.load(), this.models.load(), this.candidates.load()]);
  }

  private soon(name: string, read: () => Promise<void>): void {
    clearTimeout(this.settling.get(name));
    this.settling.set(
      name,
      setTimeout(() => void read(), SETTLE_MS),
    );
  }
}
