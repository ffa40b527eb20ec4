import type { ChatMessage } from "../../client";
import { field, parseJson } from "../../client/problem";

const KEY = "snack-misaki.conversation";
/** Turns that a reload restores. */
const MOST_TURNS = 50;

/** Owner of a guest's conversation. Customers have their Cognito `sub`. */
export const GUEST = "guest";

/** The customer's message and Mama's reply. */
export interface Turn {
  question: string;
  /** Empty when no text arrived. */
  answer: string;
  /** `broken`: the reply failed, or the page was left before its end. */
  end: "complete" | "stopped" | "broken";
}

/** Conversation of one tab. It survives a reload and a visit to Stripe, and ends with the tab or the sign-out. */
export class Conversation {
  readonly turns: Turn[] = [];
  private owner: string | undefined;

  constructor(private readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> = sessionStorage) {
    const kept = parseJson(storage.getItem(KEY) ?? "");
    const owner = field(kept, "owner");
    const turns = field(kept, "turns");
    if (typeof owner !== "string" || !Array.isArray(turns)) return;
    this.owner = owner;
    this.turns = turns.filter(isTurn);
  }

  /** Whether a guest's conversation is kept. */
  get isGuests(): boolean {
    return this.owner === GUEST;
  }

  /** Continues the owner's conversation. A guest who signs in keeps theirs; another customer's is deleted. */
  open(owner: string): void {
    if (this.owner !== owner && this.owner !== GUEST) this.turns.length = 0;
    this.owner = owner;
    this.save();
  }

  /** Adds a turn that has begun, as broken: if the page is closed now, no later code runs. */
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
    this.storage.removeItem(KEY);
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

  /** Keeps the conversation. Without space in the storage, a reload loses it. */
  save(): void {
    if (this.owner === undefined) return;
    try {
      this.storage.setItem(KEY, JSON.stringify({ owner: this.owner, turns: this.turns.slice(-MOST_TURNS) }));
    } catch {
      this.storage.removeItem(KEY);
    }
  }
}

function isTurn(value: unknown): value is Turn {
  const end = field(value, "end");
  return (
    typeof field(value, "question") === "string" &&
    typeof field(value, "answer") === "string" &&
    (end === "complete" || end === "stopped" || end === "broken")
  );
}
