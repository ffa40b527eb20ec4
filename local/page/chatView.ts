import {
  ApiProblem,
  type ChatItem,
  type ChatMessage,
  chat,
  fitConversation,
  type Limits,
  type Session,
} from "../../client";
import { byId, create, setText } from "./dom";
import { createReplyBubble } from "./replyBubble";
import type { Word } from "./translations";

/** Functions of the page that the chat uses. */
export interface ChatViewOptions {
  /** The current session. */
  session(): Session;
  /** Opens a new session and makes it the current one. */
  renew(): Promise<Session>;
  /** Returns to the entrance view after a problem that only a new sign-in solves. */
  showEntrance(): void;
}

/** The chat: message list, input line and streamed reply. */
export interface ChatView {
  /** Starts an empty conversation with these limits. */
  begin(limits: Limits): void;
  /** Changes the limits after a plan change. */
  limit(limits: Limits): void;
  /** Aborts a streaming reply. */
  end(): void;
}

/** Starts the chat. */
export function startChatView({ session, renew, showEntrance }: ChatViewOptions): ChatView {
  const list = byId("talk", HTMLOListElement);
  const form = byId("ask", HTMLFormElement);
  const line = byId("line", HTMLTextAreaElement);
  const button = byId("send", HTMLButtonElement);
  const starters = byId("starters", HTMLElement);
  const progress = byId("progress", HTMLElement);
  let said: ChatMessage[] = [];
  let answering: AbortController | undefined;

  function setAnswering(controller: AbortController | undefined): void {
    answering = controller;
    line.disabled = controller !== undefined;
    setText(button, controller ? "stop" : "send");
    if (!controller) line.focus();
  }

  async function ask(text: string): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    setAnswering(controller);
    starters.hidden = true;
    const question = create("li", "bubble user", text);
    const reply = createReplyBubble(follow);
    list.append(question, reply.element);
    announce("replying");
    follow();

    const asked: ChatMessage = { role: "user", content: text };
    try {
      const input = { messages: fitConversation([...said, asked], session().limits) };
      for await (const item of chat(session(), input, { signal, renew })) {
        reply.show(item);
        announceItem(item);
        if ("done" in item) said = [...said, asked, { role: "assistant", content: item.text }];
        follow();
      }
    } catch (error) {
      // The customer has left. The list now shows another conversation.
      if (answering !== controller) return;
      if (signal.aborted) {
        announce("replyStopped");
        list.append(setText(create("li", "note"), "stopped"));
      } else {
        list.append(note(error, text, [question, reply.element]));
      }
    } finally {
      reply.end();
      follow();
      if (answering === controller) setAnswering(undefined);
    }
  }

  /**
   * Announces the state of the reply to a screen reader. The list itself announces nothing, because it changes with every
   * piece of text.
   */
  function announce(word: Word): void {
    if (progress.dataset.word !== word) setText(progress, word);
  }

  function announceItem(item: ChatItem): void {
    if ("waiting" in item) announce("preparing");
    else if ("restart" in item) announce("replyRestarted");
    else if ("done" in item) announce("replied");
  }

  /** Builds an error message, with a button for the next step if a button can help. */
  function note(error: unknown, text: string, failed: HTMLElement[]): HTMLLIElement {
    const problem = error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
    const item = create("li", "note problem");
    item.setAttribute("role", "alert");
    const detail = create("small", "", `${problem.code}: ${problem.message}`);
    item.append(setText(create("p"), problem.code), detail);
    const atDoor = ["unauthorized", "wrong_token", "ticket_missing", "ticket_invalid", "ticket_wrong_model"];
    if (atDoor.includes(problem.code)) {
      item.append(action("toDoor", showEntrance));
    } else if (problem.retryable) {
      item.append(
        action("again", () => {
          for (const element of [item, ...failed]) element.remove();
          void ask(text);
        }),
      );
    } else {
      line.value = text;
    }
    return item;
  }

  function follow(): void {
    list.scrollTop = list.scrollHeight;
  }

  // A phone's keyboard and the drawer reduce the chat's height. Keep the last message visible.
  new ResizeObserver(follow).observe(list);

  function submit(): void {
    const text = line.value.trim();
    if (answering || text === "") return;
    line.value = "";
    void ask(text);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (answering) answering.abort(new Error("stopped by the customer"));
    else submit();
  });
  line.addEventListener("keydown", (event) => {
    // During composition, Enter confirms the input method's candidate. Safari reports it only by key code 229.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  for (const starter of starters.querySelectorAll("button")) {
    starter.addEventListener("click", () => void ask(starter.textContent ?? ""));
  }

  function end(): void {
    const controller = answering;
    setAnswering(undefined);
    controller?.abort(new Error("left the conversation"));
  }

  function limit(limits: Limits): void {
    line.maxLength = limits.max_input_chars;
  }

  return {
    begin(limits) {
      end();
      said = [];
      list.replaceChildren();
      starters.hidden = false;
      line.value = "";
      limit(limits);
    },
    limit,
    end,
  };
}

function action(word: Word, run: () => void): HTMLButtonElement {
  const button = setText(create("button"), word);
  button.type = "button";
  button.addEventListener("click", run);
  return button;
}
