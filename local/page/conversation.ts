import type { ChatMessage } from "@snack-misaki/client";
import * as z from "zod/mini";
import { tryStorage } from "./storage";

const KEY = "snack-misaki.conversation";
/** Maximum number of turns that a reload restores. */
const MOST_TURNS = 50;

/** Owner of a guest's conversation. Customers have their Cognito `sub`. */
export const GUEST = "guest";

const Turn = z.object({
  question: z.string(),
  /** Empty when no text arrived. */
  answer: z.string(),
  /** `broken`: the reply failed, or the visitor left the page before the end of the reply. */
  end: z.enum(["complete", "stopped", "broken"]),
});
/** The customer's message and Mama's reply. */
export type Turn = z.infer<typeof Turn>;

const Kept = z.object({ owner: z.string(), turns: z.array(Turn) });

/** Conversation of one tab. It survives a reload and a visit to Stripe, and ends with the tab or the sign-out. */
export class Conversation {
  private readonly kept = read(tryStorage(() => sessionStorage.getItem(KEY)));
  readonly turns: Turn[] = this.kept?.turns ?? [];
  private owner = this.kept?.owner;

  /** Whether a guest's conversation is kept. */
  get isGuests(): boolean {
    return this.owner === GUEST;
  }

  /**
   * Continues the owner's conversation. A guest who signs in keeps the conversation. The conversation of another
   * customer is deleted.
   *
   * @returns whether the kept conversation continues
   */
  open(owner: string): boolean {
    const continues = this.owner === owner || this.owner === GUEST;
    if (!continues) this.turns.length = 0;
    this.owner = owner;
    this.save();
    return continues;
  }

  /** Adds a new turn with the end `broken`, because no code runs after the page is closed. */
  begin(question: string): Turn {
    const turn: Turn = { question, answer: "", end: "broken" };
    this.turns.push(turn);
    this.save();
    return turn;
  }

  remove(turn: Turn): void {
    const index = this.turns.indexOf(turn);
    if (index >= 0) this.turns.splice(index, 1);
    this.save();
  }

  /** Forgets the conversation. */
  clear(): void {
    this.owner = undefined;
    this.turns.length = 0;
    tryStorage(() => sessionStorage.removeItem(KEY));
  }

  /** Messages for the model: the turns with a reply, and the new question. */
  messages(question: string): ChatMessage[] {
    const said = this.turns
      .filter(({ answer, end }) => answer !== "" && end !== "broken")
      .flatMap((turn): ChatMessage[] => [
        { role: "user", content: turn.question },
        { role: "assistant", content: turn.answer },
      ]);
    return [...said, { role: "user", content: question }];
  }

  /** Stores the conversation. If the browser refuses to store the conversation, a reload loses it. */
  save(): void {
    if (this.owner === undefined) return;
    const text = JSON.stringify({ owner: this.owner, turns: this.turns.slice(-MOST_TURNS) });
    tryStorage(() => {
      // When the new text does not fit, a reload must not restore the old text.
      sessionStorage.removeItem(KEY);
      sessionStorage.setItem(KEY, text);
    });
  }
}

/** Reads a stored conversation. Returns undefined for a text in another format. */
function read(text: string | null | undefined): z.infer<typeof Kept> | undefined {
  try {
    return Kept.parse(JSON.parse(text ?? ""));
  } catch {
    return undefined;
  }
}
