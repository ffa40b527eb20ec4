import { field } from "../../client/problem";
import { byId, setText } from "./dom";
import { type PanelRefusalReason, panelRefusalReasons } from "./stripePanel";

const TIMEOUT_MS = 60_000;

/** Answer of the page's server. */
export interface PanelAnswer {
  ok: boolean;
  /** 0 when no answer arrived. */
  status: number;
  body: unknown;
  /** English text of a failure. */
  message: string;
}

/** Calls the page's server and says in the drawer how an action went. */
export class PanelClient {
  private readonly panel = byId("back-room", HTMLDetailsElement);
  private readonly feedback = byId("feedback", HTMLElement);

  /** Reads a state. Says in the drawer when it cannot be read, except when there is none (404). */
  async read(path: string): Promise<PanelAnswer> {
    const answer = await request("GET", path);
    if (!answer.ok && answer.status !== 404) this.showFailure(answer);
    return answer;
  }

  /** Runs an action. The drawer's controls are disabled meanwhile. */
  async act(path: string, body: object): Promise<PanelAnswer> {
    this.say("working");
    this.setBusy(true);
    const answer = await request("POST", path, body);
    this.setBusy(false);
    if (answer.ok) this.say("done");
    else this.showFailure(answer);
    return answer;
  }

  private say(word: "working" | "done"): void {
    this.feedback.classList.remove("failed");
    setText(this.feedback, word);
  }

  private showFailure({ status, body, message }: PanelAnswer): void {
    const reason = panelRefusalReasons.find((known) => known === field(field(body, "error"), "reason"));
    this.feedback.classList.add("failed");
    if (reason) setText(this.feedback, `refused_${reason satisfies PanelRefusalReason}`);
    else setText(this.feedback, status === 0 ? "lost" : "refused", { detail: message });
  }

  private setBusy(busy: boolean): void {
    const controls = "button:not([role=tab]), input";
    for (const element of this.panel.querySelectorAll<HTMLButtonElement | HTMLInputElement>(controls)) {
      element.disabled = busy;
    }
  }
}

async function request(method: "GET" | "POST", path: string, body?: object): Promise<PanelAnswer> {
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
