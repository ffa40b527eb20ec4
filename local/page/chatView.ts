import {
  ApiProblem,
  type ChatDone,
  type ChatMessage,
  chat,
  fitConversation,
  type Limits,
  type Session,
} from "../../client";
import { byId, create, setText } from "./dom";
import type { words } from "./translations";

/** Functions of the page that the chat uses. */
export interface ChatViewOptions {
  /** The current session. */
  session(): Session;
  /** Opens a new session and makes it the current one. */
  renew(): Promise<Session>;
  /** Returns to the entrance view after a problem that only a new sign-in solves. */
  showEntrance(): void;
}

/** Milliseconds without any text of the reply before the page says that the model is warming up. */
const WARMING_AFTER_MS = 4_000;

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
    const question = bubble("user", text);
    const reply = bubble("assistant", "");
    reply.classList.add("waiting");
    list.append(question, reply);
    follow();
    const warming = setTimeout(() => {
      reply.append(setText(create("span", "warming"), "warming"));
      follow();
    }, WARMING_AFTER_MS);

    const asked: ChatMessage = { role: "user", content: text };
    let receivedText = "";
    const receive = (whole: string) => {
      clearTimeout(warming);
      receivedText = whole;
      reply.classList.remove("waiting");
      reply.textContent = whole;
    };
    try {
      const input = { messages: fitConversation([...said, asked], session().limits) };
      for await (const item of chat(session(), input, { signal, renew })) {
        if ("delta" in item) {
          receive(receivedText + item.delta);
        } else {
          receive(item.text);
          said = [...said, asked, { role: "assistant", content: item.text }];
          reply.append(facts(item));
        }
        follow();
      }
    } catch (error) {
      // The customer has left. The list now shows another conversation.
      if (answering !== controller) return;
      reply.classList.remove("waiting");
      if (receivedText === "") reply.remove();
      list.append(signal.aborted ? setText(create("li", "note"), "stopped") : note(error, text, [question, reply]));
      follow();
    } finally {
      clearTimeout(warming);
      if (answering === controller) setAnswering(undefined);
    }
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

function bubble(role: ChatMessage["role"], text: string): HTMLLIElement {
  return create("li", `bubble ${role}`, text);
}

function action(word: keyof typeof words.en, run: () => void): HTMLButtonElement {
  const button = setText(create("button"), word);
  button.type = "button";
  button.addEventListener("click", run);
  return button;
}

/** Shows model and timings under the reply. */
function facts({ model, timings }: ChatDone): HTMLElement {
  const line = create("small", "facts", `${model.name} ${model.version} · `);
  const took = (word: "firstText" | "wholeReply", ms: number) => [
    setText(create("span"), word),
    ` ${Math.round(ms)} ms`,
  ];
  line.append(...took("firstText", timings.ttft_ms), " · ", ...took("wholeReply", timings.total_ms));
  return line;
}
