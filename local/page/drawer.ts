import type { CloudEvent } from "../support/events";
import { byId, create, language, setText } from "./dom";
import { fillRowTable, type Row } from "./rowTable";
import { type PanelState, type PanelSwitch, panelSwitches } from "./stripePanel";
import { type Word, words } from "./translations";

const DAY_SECONDS = 24 * 3600;
/**
 * Seconds after the period's end to which the panel advances the clock. Stripe attempts a renewal one hour after the
 * period starts; the second hour is reserve.
 */
const RENEWAL_SECONDS = 2 * 3600;
const TIMEOUT_MS = 60_000;
/** Delay before reading the row, because writes come in bursts. */
const SETTLE_MS = 200;

/** The developer's panel: the customer's row and actions at Stripe. It reads nothing while it is closed. */
export class Drawer {
  private readonly panel = byId("back-room", HTMLDetailsElement);
  private readonly controls = byId("controls", HTMLElement);
  private readonly message = byId("controls-message", HTMLElement);
  private readonly table = byId("row", HTMLTableElement);
  private readonly switches: { name: PanelSwitch; box: HTMLInputElement }[];
  private userId: string | undefined;
  /** Null when there is no row, undefined before the first read. */
  private row: Row | null | undefined;
  private reads = 0;
  /** Milliseconds that the Stripe double's clock is ahead of the wall clock. */
  private aheadMs = 0;
  private settling: ReturnType<typeof setTimeout> | undefined;

  /** @param changed called when the row has changed, and after every action */
  constructor(private readonly changed: () => void) {
    for (const [group, list] of Object.entries(this.buttons())) {
      for (const [word, action, body] of list) {
        const button = setText(create("button"), word);
        button.type = "button";
        button.addEventListener("click", () => this.act(action, body()));
        byId(`${group}-controls`, HTMLElement).append(button);
      }
    }
    this.switches = panelSwitches.map((name) => ({ name, box: this.addSwitch(name) }));
    this.panel.addEventListener("toggle", () => {
      if (this.panel.open) void Promise.all([this.loadState(), this.loadRow()]);
    });
    setInterval(() => {
      if (this.panel.open && !this.panel.hidden) this.showClock();
    }, 1_000);
  }

  /** Opens the panel for a customer; undefined hides it. */
  open(userId: string | undefined): void {
    if (userId === this.userId) return;
    this.userId = userId;
    this.row = undefined;
    this.reads++;
    this.panel.hidden = userId === undefined;
    if (userId === undefined) this.panel.open = false;
  }

  /** Handles a backend event. A write may have changed the row. */
  onEvent({ source, summary }: CloudEvent): void {
    const isWrite = source === "dynamodb" && /^(?:Put|Update|Delete|BatchWrite|TransactWrite)/.test(summary);
    if (!this.panel.open || !isWrite) return;
    clearTimeout(this.settling);
    this.settling = setTimeout(async () => {
      if (await this.loadRow()) this.changed();
    }, SETTLE_MS);
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

  private addSwitch(name: PanelSwitch): HTMLInputElement {
    const box = create("input");
    box.type = "checkbox";
    box.addEventListener("change", () => this.act("switch", { name, on: box.checked }));
    const label = create("label");
    label.append(box, setText(create("span"), `switch_${name}`));
    byId("webhook-controls", HTMLElement).append(label);
    return box;
  }

  /**
   * Seconds until the renewal of the subscription in the row. Assumes a period of 31 days when the row has no period
   * that ends in the future.
   */
  private untilPeriodEnd(): number {
    const end = field(field(this.row?.subscriptions, "0"), "period_end");
    const seconds = typeof end === "number" ? end - Math.floor((Date.now() + this.aheadMs) / 1000) : 0;
    return (seconds > 0 ? seconds : 31 * DAY_SECONDS) + RENEWAL_SECONDS;
  }

  private showClock(): void {
    const now = new Date(Date.now() + this.aheadMs);
    const days = Math.round(this.aheadMs / (DAY_SECONDS * 1000));
    const ahead = days > 0 ? ` (${words[language()].aheadDays.replace("{days}", String(days))})` : "";
    byId("clock", HTMLElement).textContent =
      now.toLocaleString(language(), { dateStyle: "long", timeStyle: "short" }) + ahead;
  }

  private showState({ now, switches: on }: PanelState): void {
    this.aheadMs = now * 1000 - Date.now();
    this.showClock();
    for (const { name, box } of this.switches) box.checked = on[name];
  }

  private showMessage(word: Word | undefined, detail = ""): void {
    if (word) {
      setText(this.message, word);
      return;
    }
    delete this.message.dataset.word;
    this.message.textContent = detail;
  }

  private async act(action: string, body: object): Promise<void> {
    this.showMessage("working");
    this.setBusy(true);
    const answer = await request("POST", `/stripe/${action}`, body);
    this.setBusy(false);
    if (answer.ok) {
      this.showState(answer.body as PanelState);
      this.showMessage("done");
    } else {
      this.showMessage(undefined, answer.message);
      await this.loadState();
    }
    await this.loadRow();
    this.changed();
  }

  private setBusy(busy: boolean): void {
    for (const element of this.controls.querySelectorAll<HTMLButtonElement | HTMLInputElement>("button, input")) {
      element.disabled = busy;
    }
  }

  private async loadState(): Promise<void> {
    const answer = await request("GET", "/stripe");
    const isReal = answer.status === 404;
    byId("real-stripe", HTMLElement).hidden = !isReal;
    this.controls.hidden = isReal;
    if (answer.ok) this.showState(answer.body as PanelState);
    else if (!isReal) this.showMessage(undefined, answer.message);
  }

  /** Reads the row. Returns whether it has changed. */
  private async loadRow(): Promise<boolean> {
    if (this.userId === undefined) return false;
    const read = ++this.reads;
    const answer = await request("GET", `/row?${new URLSearchParams({ user: this.userId })}`);
    // Ignore this answer when a later read has started or the customer has left.
    if (read !== this.reads) return false;
    const next = answer.ok ? ((field(answer.body, "row") ?? null) as Row | null) : null;
    const note = byId("no-row", HTMLElement);
    note.hidden = next !== null;
    setText(note, answer.ok ? "noRow" : "unreadable");
    this.table.hidden = next === null;
    const before = this.row;
    if (!answer.ok || JSON.stringify(next) === JSON.stringify(before)) return false;
    this.row = next;
    if (next) fillRowTable(this.table, next, before ?? undefined);
    return before !== undefined;
  }
}

/** Calls the page's server. `message` describes a failure. */
async function request(method: "GET" | "POST", path: string, body?: object) {
  try {
    const response = await fetch(path, {
      method,
      ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer: unknown = await response.json();
    const message = String(field(field(answer, "error"), "message") ?? "");
    return { ok: response.ok, status: response.status, body: answer, message };
  } catch (error) {
    return { ok: false, status: 0, body: undefined, message: String(error) };
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}
