import * as z from "zod/mini";
import { byId, setText } from "./dom";
import { panelRefusalReasons } from "./stripePanel";

const TIMEOUT_MS = 60_000;
const Failure = z.object({
  error: z.object({ message: z.string(), reason: z.optional(z.enum(panelRefusalReasons)) }),
});

/** Answer of the page's server. */
export interface PanelAnswer {
  ok: boolean;
  /** 0 when no answer arrived. */
  status: number;
  body: unknown;
}

/** Calls the page's server, and shows the result of an action in the drawer. */
export class PanelClient {
  private readonly panel = byId("back-room", HTMLDetailsElement);
  private readonly feedback = byId("feedback", HTMLElement);

  /** Reads a state. Shows a failure in the drawer, except the status 404. */
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

  private showFailure({ status, body }: PanelAnswer): void {
    const { reason, message } = Failure.safeParse(body).data?.error ?? {};
    this.feedback.classList.add("failed");
    if (reason) setText(this.feedback, `refused_${reason}`);
    else setText(this.feedback, status === 0 ? "lost" : "refused", { detail: message ?? `HTTP ${status}` });
  }

  private setBusy(busy: boolean): void {
    // The filter of the list of calls stays enabled, because it is not an action.
    const controls = "button:not([role=tab]), input, select:not(#kind)";
    type Control = HTMLButtonElement | HTMLInputElement | HTMLSelectElement;
    for (const element of this.panel.querySelectorAll<Control>(controls)) {
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
    return { ok: response.ok, status: response.status, body: await response.json() };
  } catch {
    return { ok: false, status: 0, body: undefined };
  }
}
