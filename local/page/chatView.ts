import { ApiProblem, type ChatItem, type ChatMessage, type Limits } from "@snack-misaki/client";
import { startComposer } from "./composer";
import type { Conversation, Turn } from "./conversation";
import { button, byId, create, markLanguage, setText } from "./dom";
import { createReply, greeting, pastReply, type ReplyBubble } from "./replyBubble";
import type { Word } from "./translations";

/** Distance from the end of the conversation within which the view follows a growing reply. */
const FOLLOW_PX = 60;

/** Functions of the page that the chat uses. */
export interface ChatViewOptions {
  conversation: Conversation;
  /** Milliseconds without any text of the reply after which the page gives up. */
  waitLimitMs: number;
  /** Sends a conversation that ends with the customer's message. Yields the items of the reply. */
  send(messages: ChatMessage[], signal: AbortSignal): AsyncIterable<ChatItem>;
  /** Returns to the entrance view. Called after a problem that only a new sign-in solves. */
  showEntrance(word: Word): void;
}

/** The chat: message list, input line and streamed reply. */
export interface ChatView {
  /**
   * Shows the conversation, with Mama's greeting above it.
   *
   * @param keepsLine whether the unsent text of the input line belongs to this conversation
   */
  begin(limits: Limits, keepsLine: boolean): void;
  /** Changes the limits after a plan change. */
  limit(limits: Limits): void;
  /** Aborts a streaming reply and empties the view. */
  end(): void;
}

/** The wait for the first text has passed the limit. */
class WaitedTooLong extends Error {}

/** Starts the chat. */
export function startChatView({ conversation, waitLimitMs, send, showEntrance }: ChatViewOptions): ChatView {
  const talk = byId("talk", HTMLElement);
  const list = byId("turns", HTMLOListElement);
  const starters = byId("starters", HTMLElement);
  const progress = byId("progress", HTMLElement);
  // An element with a tab index can be scrolled with the keyboard.
  talk.tabIndex = 0;
  let answering: { controller: AbortController; turn: Turn; reply: ReplyBubble } | undefined;
  let isFollowing = true;

  const composer = startComposer({ send: (text) => void ask(text), stop });

  function stop(): void {
    answering?.controller.abort(new Error("stopped by the customer"));
  }

  async function ask(question: string): Promise<void> {
    if (answering) return;
    const controller = new AbortController();
    const { signal } = controller;
    const messages = conversation.messages(question);
    const turn = conversation.begin(question);
    const asked = questionBubble(question);
    const reply = createReply({
      waitLimitMs,
      onGrow: follow,
      onStop: stop,
      onLongWait: () => announce("stillPreparing"),
      onLimit: () => controller.abort(new WaitedTooLong()),
    });
    answering = { controller, turn, reply };
    /** Whether the customer has left the conversation of this turn. The list then shows another conversation. */
    const hasLeft = () => answering?.turn !== turn;
    setAnswering(true);
    starters.hidden = true;
    list.append(asked, reply.element);
    announce("replying");
    isFollowing = true;
    follow();

    let problem: unknown;
    try {
      for await (const item of send(messages, signal)) {
        if (hasLeft()) return;
        reply.show(item);
        announceItem(item);
        if ("done" in item) Object.assign(turn, { answer: item.text, end: "complete" } satisfies Partial<Turn>);
      }
    } catch (error) {
      problem = error;
    }
    if (hasLeft()) return;
    if (turn.end !== "complete") {
      const isStopped = signal.aborted && !(signal.reason instanceof WaitedTooLong);
      Object.assign(turn, { answer: reply.text(), end: isStopped ? "stopped" : "broken" } satisfies Partial<Turn>);
    }
    conversation.save();
    reply.end(turn.end);
    answering = undefined;
    if (turn.end !== "complete") showUnfinished(turn, [asked, reply.element], signal.aborted ? signal.reason : problem);
    follow();
    setAnswering(false);
  }

  function setAnswering(next: boolean): void {
    talk.setAttribute("aria-busy", String(next));
    composer.setAnswering(next);
  }

  /**
   * Announces the state of the reply to a screen reader. The conversation itself is silent while it is busy, because it
   * changes with every piece of text.
   */
  function announce(word: Word): void {
    if (progress.dataset.word !== word) setText(progress, word);
  }

  function announceItem(item: ChatItem): void {
    if ("waiting" in item) announce("preparing");
    else if ("restart" in item) announce("replyRestarted");
    else if ("done" in item) announce("replied");
  }

  /** Shows why a turn has no complete reply, and a button for the next step. */
  function showUnfinished(turn: Turn, shown: HTMLElement[], reason: unknown): void {
    const note = create("li", "note");
    const retry = button("again", () => {
      if (answering) return;
      for (const element of [note, ...shown]) element.remove();
      conversation.remove(turn);
      void ask(turn.question);
    });
    if (turn.end === "stopped") {
      announce("replyStopped");
      // If the reply has text, its bubble already shows that the reply was stopped.
      if (turn.answer === "") note.append(setText(create("p"), "stopped"));
      note.append(retry);
    } else {
      announce("replyBroken");
      note.classList.add("problem");
      note.append(...problemText(reason), nextStep(reason, turn, retry) ?? "");
    }
    list.append(note);
  }

  function nextStep(reason: unknown, turn: Turn, retry: HTMLElement): HTMLElement | undefined {
    const code = reason instanceof ApiProblem ? reason.code : undefined;
    const atDoor = ["unauthorized", "wrong_token", "ticket_missing", "ticket_invalid", "ticket_wrong_model"];
    if (code && atDoor.includes(code)) return button("toDoor", () => showEntrance(code));
    if (!(reason instanceof ApiProblem) || reason.retryable) return retry;
    composer.restore(turn.question);
    return undefined;
  }

  function follow(): void {
    if (isFollowing) talk.scrollTop = talk.scrollHeight;
  }

  talk.addEventListener("scroll", () => {
    isFollowing = talk.scrollHeight - talk.scrollTop - talk.clientHeight < FOLLOW_PX;
  });
  // A phone's keyboard reduces the chat's height. Keep the newest message visible.
  const observer = new ResizeObserver(follow);
  observer.observe(talk);
  // The open drawer adds a line to each reply.
  observer.observe(list);
  // After this event, no code of the page runs.
  addEventListener("pagehide", () => {
    if (!answering) return;
    answering.turn.answer = answering.reply.text();
    conversation.save();
  });
  for (const starter of starters.querySelectorAll("button")) {
    starter.addEventListener("click", () => void ask(starter.textContent ?? ""));
  }

  function end(): void {
    const left = answering;
    answering = undefined;
    setAnswering(false);
    left?.reply.end("stopped");
    left?.controller.abort(new Error("left the conversation"));
    list.replaceChildren();
  }

  /** Shows a turn of a restored conversation. */
  function restore(turn: Turn, isLast: boolean): void {
    const shown = [questionBubble(turn.question), ...(turn.answer ? [pastReply(turn.answer, turn.end)] : [])];
    list.append(...shown);
    if (isLast && turn.end !== "complete") showUnfinished(turn, shown, undefined);
  }

  return {
    begin(limits, keepsLine) {
      end();
      if (!keepsLine) composer.clear();
      composer.setLimit(limits.max_input_chars);
      list.replaceChildren(greeting());
      conversation.turns.forEach((turn, index, { length }) => {
        restore(turn, index === length - 1);
      });
      delete progress.dataset.word;
      progress.textContent = "";
      starters.hidden = conversation.turns.length > 0;
      isFollowing = true;
      follow();
    },
    limit: ({ max_input_chars }) => composer.setLimit(max_input_chars),
    end,
  };
}

function questionBubble(text: string): HTMLLIElement {
  const bubble = create("li", "bubble user", text);
  markLanguage(bubble, text);
  return bubble;
}

/**
 * Returns the texts of the problem in the page's language. An undefined reason belongs to a restored conversation,
 * which does not keep the reason.
 */
function problemText(reason: unknown): HTMLElement[] {
  if (reason === undefined) return [setText(create("p"), "replyBroken")];
  if (reason instanceof WaitedTooLong) return [setText(create("p"), "waitedTooLong")];
  const problem = reason instanceof ApiProblem ? reason : new ApiProblem("internal", String(reason));
  return [setText(create("p"), problem.code), create("small", "facts", `${problem.code}: ${problem.message}`)];
}
