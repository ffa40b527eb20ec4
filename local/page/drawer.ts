import { field } from "../../client/problem";
import type { CloudEvent } from "../support/events";
import { byId, create, language, setText } from "./dom";
import { fillRowTable, type Row } from "./rowTable";
import { type PanelState, panelSwitches } from "./stripePanel";
import { type Word, words } from "./translations";

const DAY_SECONDS = 24 * 3600;
/** Stripe attempts a renewal one hour after the period starts. */
const RENEWAL_SECONDS = 2 * 3600;
const TIMEOUT_MS = 60_000;
/** Delay before reading the row, because writes come in bursts. */
const SETTLE_MS = 200;

/** The developer's panel: the customer's row and actions at Stripe. */
export interface Drawer {
  /** Opens the panel for a customer; undefined hides it. */
  open(userId: string | undefined): void;
  /** Handles a backend event. A write may have changed the row. */
  onEvent(event: CloudEvent): void;
}

/**
 * Starts the panel. It reads nothing while it is closed.
 *
 * @param changed called when the row has changed, and after every action
 */
export function startDrawer(changed: () => void): Drawer {
  const panel = byId("back-room", HTMLDetailsElement);
  const controls = byId("controls", HTMLElement);
  const message = byId("controls-message", HTMLElement);
  const clock = byId("clock", HTMLElement);
  const table = byId("row", HTMLTableElement);
  let userId: string | undefined;
  /** Null when there is no row, undefined before the first read. */
  let row: Row | null | undefined;
  let readings = 0;
  /** Milliseconds that the double's clock is ahead. */
  let aheadMs = 0;
  let settling: ReturnType<typeof setTimeout> | undefined;

  const buttons: Record<string, [Word, string, () => object][]> = {
    time: [
      ["advanceDay", "advance", () => ({ seconds: DAY_SECONDS })],
      ["advancePeriod", "advance", () => ({ seconds: untilPeriodEnd() })],
      ["advanceWeek", "advance", () => ({ seconds: 8 * DAY_SECONDS })],
    ],
    card: [
      ["failNextRenewal", "fail-next-renewal", () => ({ userId })],
      ["mendCard", "mend-card", () => ({ userId })],
    ],
    bank: [
      ["dispute", "dispute", () => ({ userId })],
      ["disputeWon", "close-dispute", () => ({ userId, outcome: "won" })],
      ["disputeLost", "close-dispute", () => ({ userId, outcome: "lost" })],
      ["refund", "refund", () => ({ userId })],
    ],
  };
  for (const [group, list] of Object.entries(buttons)) {
    for (const [word, action, body] of list) {
      const button = setText(create("button"), word);
      button.type = "button";
      button.addEventListener("click", () => act(action, body()));
      byId(`${group}-controls`, HTMLElement).append(button);
    }
  }
  const switches = panelSwitches.map((name) => {
    const box = create("input");
    box.type = "checkbox";
    box.addEventListener("change", () => act("switch", { name, on: box.checked }));
    const label = create("label");
    label.append(box, setText(create("span"), `switch_${name}`));
    byId("webhook-controls", HTMLElement).append(label);
    return { name, box };
  });

  /** Reads the period's end from the row of the last sync; one month without it. */
  function untilPeriodEnd(): number {
    const end = field(field(row?.subscriptions, "0"), "period_end");
    const seconds = typeof end === "number" ? end - Math.floor((Date.now() + aheadMs) / 1000) : 0;
    return (seconds > 0 ? seconds : 31 * DAY_SECONDS) + RENEWAL_SECONDS;
  }

  function showClock(): void {
    const now = new Date(Date.now() + aheadMs);
    const days = Math.round(aheadMs / (DAY_SECONDS * 1000));
    const ahead = days > 0 ? ` (${words[language()].aheadDays.replace("{days}", String(days))})` : "";
    clock.textContent = now.toLocaleString(language(), { dateStyle: "long", timeStyle: "short" }) + ahead;
  }

  function showState({ now, switches: on }: PanelState): void {
    aheadMs = now * 1000 - Date.now();
    showClock();
    for (const { name, box } of switches) box.checked = on[name];
  }

  function showMessage(word: Word | undefined, detail = ""): void {
    if (word) {
      setText(message, word);
      return;
    }
    delete message.dataset.word;
    message.textContent = detail;
  }

  async function act(action: string, body: object): Promise<void> {
    showMessage("working");
    setBusy(true);
    const answer = await request("POST", `/stripe/${action}`, body);
    setBusy(false);
    if (answer.ok) {
      showState(answer.body as PanelState);
      showMessage("done");
    } else {
      showMessage(undefined, answer.message);
      await loadState();
    }
    await loadRow();
    changed();
  }

  function setBusy(busy: boolean): void {
    for (const element of controls.querySelectorAll<HTMLButtonElement | HTMLInputElement>("button, input")) {
      element.disabled = busy;
    }
  }

  async function loadState(): Promise<void> {
    const answer = await request("GET", "/stripe");
    const isReal = answer.status === 404;
    byId("real-stripe", HTMLElement).hidden = !isReal;
    controls.hidden = isReal;
    if (answer.ok) showState(answer.body as PanelState);
    else if (!isReal) showMessage(undefined, answer.message);
  }

  /** Reads the row. Returns whether it has changed. */
  async function loadRow(): Promise<boolean> {
    if (userId === undefined) return false;
    const reading = ++readings;
    const answer = await request("GET", `/row?${new URLSearchParams({ user: userId })}`);
    // Ignore this answer when a later read has started or the customer has left.
    if (reading !== readings) return false;
    const next = answer.ok ? ((field(answer.body, "row") ?? null) as Row | null) : null;
    const note = byId("no-row", HTMLElement);
    note.hidden = next !== null;
    setText(note, answer.ok ? "noRow" : "unreadable");
    table.hidden = next === null;
    const before = row;
    if (!answer.ok || JSON.stringify(next) === JSON.stringify(before)) return false;
    row = next;
    if (next) fillRowTable(table, next, before ?? undefined);
    return before !== undefined;
  }

  async function followRow(): Promise<void> {
    if (await loadRow()) changed();
  }

  panel.addEventListener("toggle", () => {
    if (panel.open) void Promise.all([loadState(), loadRow()]);
  });
  setInterval(() => {
    if (panel.open && !panel.hidden) showClock();
  }, 1_000);

  return {
    open(next) {
      if (next === userId) return;
      userId = next;
      row = undefined;
      readings++;
      panel.hidden = next === undefined;
      if (next === undefined) panel.open = false;
    },
    onEvent({ source, summary }) {
      if (!panel.open || source !== "dynamodb" || !/^(?:Put|Update|Delete|BatchWrite|TransactWrite)/.test(summary))
        return;
      clearTimeout(settling);
      settling = setTimeout(followRow, SETTLE_MS);
    },
  };
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
