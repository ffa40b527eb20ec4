import * as z from "zod/mini";
import { button, byId, checkbox, language, onLanguageChange, setText, textOf } from "./dom";
import type { PanelClient } from "./panelClient";
import { fillRowTable, type Row } from "./rowTable";
import { type PanelState, type PanelSwitch, panelSwitches } from "./stripePanel";
import type { Word } from "./translations";

const DAY_SECONDS = 24 * 3600;
/**
 * Number of seconds after the period's end to which the panel advances the clock. Stripe attempts a renewal one hour
 * after the period starts. The second hour is a reserve.
 */
const RENEWAL_SECONDS = 2 * 3600;

const RowAnswer = z.object({ row: z.nullable(z.record(z.string(), z.unknown())) });
/** The part of a row with the end of the period in Unix seconds. */
const WithPeriod = z.object({ subscriptions: z.tuple([z.object({ period_end: z.number() })], z.unknown()) });

/** The drawer's part for payments: the Stripe double's clock, cards and webhooks, and the customer's row. */
export class StripeControls {
  private readonly table = byId("row", HTMLTableElement);
  private readonly switches: { name: PanelSwitch; box: HTMLInputElement }[];
  private userId: string | undefined;
  /** Null for a customer without a row. Undefined before the first read. */
  private row: Row | null | undefined;
  private reads = 0;
  /** Milliseconds that the Stripe double's clock is ahead of the wall clock. */
  private aheadMs = 0;

  /** @param changed called when the row has changed, and after every action */
  constructor(
    private readonly client: PanelClient,
    private readonly changed: () => void,
  ) {
    for (const [group, list] of Object.entries(this.buttons())) {
      const actions = list.map(([word, action, body]) => button(word, () => this.act(action, body())));
      byId(`${group}-controls`, HTMLElement).append(...actions);
    }
    this.switches = panelSwitches.map((name) => {
      const { label, box } = checkbox(`switch_${name}`, (on) => this.act("switch", { name, on }));
      byId("webhook-controls", HTMLElement).append(label);
      return { name, box };
    });
    onLanguageChange(() => this.showClock());
  }

  /**
   * Shows the controls for a customer, and clears the row. Hides the controls when `userId` is undefined, because
   * nobody is signed in.
   */
  setCustomer(userId: string | undefined): void {
    if (userId !== undefined && userId === this.userId) return;
    this.userId = userId;
    this.row = undefined;
    this.reads++;
    for (const group of document.querySelectorAll<HTMLElement>(".for-customer")) group.hidden = userId === undefined;
    this.showRow(undefined, "rowOfNobody");
  }

  /** Reads the double's state and the row. */
  async load(): Promise<void> {
    await Promise.all([this.loadState(), this.loadRow()]);
  }

  /** Reads and shows the row. */
  async loadRow(): Promise<void> {
    if (this.userId === undefined) return;
    const read = ++this.reads;
    const answer = await this.client.read(`/row?${new URLSearchParams({ user: this.userId })}`);
    // Ignore this answer when a later read has started or the customer has left.
    if (read !== this.reads) return;
    const next = RowAnswer.safeParse(answer.body).data?.row ?? null;
    const before = this.row;
    this.showRow(next ?? undefined, answer.ok ? "noRow" : "unreadable");
    if (!answer.ok) return;
    this.row = next;
    if (before !== undefined && JSON.stringify(next) !== JSON.stringify(before)) this.changed();
  }

  /** Shows the double's time. Called once a second. */
  showClock(): void {
    const now = new Date(Date.now() + this.aheadMs);
    const days = Math.round(this.aheadMs / (DAY_SECONDS * 1000));
    const ahead = days > 0 ? textOf("aheadDays", { days }) : "";
    byId("clock", HTMLElement).textContent =
      now.toLocaleString(language(), { dateStyle: "long", timeStyle: "short" }) + ahead;
  }

  /** Buttons by group: text, action and body of the request. */
  private buttons(): Record<string, [Word, string, () => object][]> {
    const user =
      (more: object = {}) =>
      () => ({ userId: this.userId, ...more });
    const advance = (seconds: () => number) => () => ({ seconds: seconds() });
    return {
      time: [
        ["advanceDay", "advance", advance(() => DAY_SECONDS)],
        ["advancePeriod", "advance", advance(() => this.untilPeriodEnd())],
        ["advanceWeek", "advance", advance(() => 8 * DAY_SECONDS)],
      ],
      card: [
        ["failNextRenewal", "fail-next-renewal", user()],
        ["mendCard", "mend-card", user()],
      ],
      bank: [
        ["dispute", "dispute", user()],
        ["disputeWon", "close-dispute", user({ outcome: "won" })],
        ["disputeLost", "close-dispute", user({ outcome: "lost" })],
        ["refund", "refund", user()],
      ],
    };
  }

  /**
   * Seconds until the renewal of the subscription in the row. Assumes a period of 31 days when the row has no period
   * that ends in the future.
   */
  private untilPeriodEnd(): number {
    const end = WithPeriod.safeParse(this.row).data?.subscriptions[0].period_end ?? 0;
    const seconds = end - Math.floor((Date.now() + this.aheadMs) / 1000);
    return (seconds > 0 ? seconds : 31 * DAY_SECONDS) + RENEWAL_SECONDS;
  }

  private showState({ now, switches: on }: PanelState): void {
    this.aheadMs = now * 1000 - Date.now();
    this.showClock();
    for (const { name, box } of this.switches) box.checked = on[name];
  }

  private async act(action: string, body: object): Promise<void> {
    const answer = await this.client.act(`/stripe/${action}`, body);
    if (answer.ok) this.showState(answer.body as PanelState);
    else await this.loadState();
    await this.loadRow();
    this.changed();
  }

  private async loadState(): Promise<void> {
    const answer = await this.client.read("/stripe");
    const isReal = answer.status === 404;
    byId("real-stripe", HTMLElement).hidden = !isReal;
    byId("stripe-controls", HTMLElement).hidden = isReal;
    if (answer.ok) this.showState(answer.body as PanelState);
  }

  /** Shows the row and marks its changes. Without a row, shows the note. */
  private showRow(row: Row | undefined, note: Word): void {
    setText(byId("no-row", HTMLElement), note).hidden = row !== undefined;
    this.table.hidden = row === undefined;
    if (row && JSON.stringify(row) !== JSON.stringify(this.row)) fillRowTable(this.table, row, this.row ?? undefined);
  }
}
