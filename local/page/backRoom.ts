import { field } from "../../client/problem";
import type { CloudEvent } from "../support/events";
import { byId, create, language, say } from "./dom";
import { fillRowTable, type Row } from "./rowTable";
import { type PanelState, panelSwitches } from "./stripePanel";
import { type Word, words } from "./words";

const DAY_SECONDS = 24 * 3600;
/** Stripe attempts a renewal an hour after its period has begun. */
const RENEWAL_SECONDS = 2 * 3600;
const TIMEOUT_MS = 60_000;
/** Writes come in bursts: the row is read once after each. */
const SETTLE_MS = 200;

/** The developer's panel: the customer's row, and what can happen to them at Stripe. */
export interface BackRoom {
  /** For this customer; undefined hides the panel. */
  open(userId: string | undefined): void;
  /** Tells of a call behind the page: one that writes may have changed the row. */
  heard(event: CloudEvent): void;
}

/**
 * Makes the panel work. It reads nothing while it is closed.
 *
 * @param changed is called when the row is another than before, and after every action
 */
export function startBackRoom(changed: () => void): BackRoom {
  const panel = byId("back-room", HTMLDetailsElement);
  const controls = byId("controls", HTMLElement);
  const told = byId("controls-told", HTMLElement);
  const clock = byId("clock", HTMLElement);
  const table = byId("row", HTMLTableElement);
  let userId: string | undefined;
  /** Null where there is none, undefined before it has been read. */
  let row: Row | null | undefined;
  let readings = 0;
  /** How far the double's clock is ahead, milliseconds. */
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
      const button = say(create("button"), word);
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
    label.append(box, say(create("span"), `switch_${name}`));
    byId("webhook-controls", HTMLElement).append(label);
    return { name, box };
  });

  /** From the row, which is as old as the last sync: without one a month. */
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

  function tell(word: Word | undefined, detail = ""): void {
    if (word) {
      say(told, word);
      return;
    }
    delete told.dataset.word;
    told.textContent = detail;
  }

  async function act(action: string, body: object): Promise<void> {
    tell("working");
    setBusy(true);
    const answer = await request("POST", `/stripe/${action}`, body);
    setBusy(false);
    if (answer.ok) {
      showState(answer.body as PanelState);
      tell("done");
    } else {
      tell(undefined, answer.message);
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
    else if (!isReal) tell(undefined, answer.message);
  }

  /** Gives whether the row is another than when it was last read. */
  async function loadRow(): Promise<boolean> {
    if (userId === undefined) return false;
    const reading = ++readings;
    const answer = await request("GET", `/row?${new URLSearchParams({ user: userId })}`);
    // A later reading knows better, also that the customer has left.
    if (reading !== readings) return false;
    const next = answer.ok ? ((field(answer.body, "row") ?? null) as Row | null) : null;
    const note = byId("no-row", HTMLElement);
    note.hidden = next !== null;
    say(note, answer.ok ? "noRow" : "unreadable");
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
    heard({ source, summary }) {
      if (!panel.open || source !== "dynamodb" || !/^(?:Put|Update|Delete|BatchWrite|TransactWrite)/.test(summary))
        return;
      clearTimeout(settling);
      settling = setTimeout(followRow, SETTLE_MS);
    },
  };
}

/** Calls the page's own server. `message` is what went wrong. */
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
