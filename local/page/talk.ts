import {
  ApiProblem,
  type ChatDone,
  type ChatMessage,
  chat,
  fitConversation,
  type Limits,
  type Session,
} from "../../client";
import { byId, create, say } from "./dom";
import type { words } from "./words";

/** What the talk needs of the rest of the page. */
export interface TalkOptions {
  /** The current session. */
  session(): Session;
  /** Gets a new session and makes it the current one. */
  renew(): Promise<Session>;
  /** Goes back to the door, after a problem that only coming in again solves. */
  toDoor(): void;
}

/** After this long without a word the page says that the model is warming up. */
const WARMING_AFTER_MS = 4_000;

/** The conversation: what was said, the line to write in, and the reply as it comes. */
export interface Talk {
  /** Starts an empty conversation of a customer with these limits. */
  begin(limits: Limits): void;
  /** The limits from now on, after the plan has changed. */
  limit(limits: Limits): void;
  /** Stops a reply that is still coming. */
  end(): void;
}

/** Makes the conversation work. */
export function startTalk({ session, renew, toDoor }: TalkOptions): Talk {
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
    say(button, controller ? "stop" : "send");
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
      reply.append(say(create("span", "warming"), "warming"));
      follow();
    }, WARMING_AFTER_MS);

    const asked: ChatMessage = { role: "user", content: text };
    let heard = "";
    const hear = (whole: string) => {
      clearTimeout(warming);
      heard = whole;
      reply.classList.remove("waiting");
      reply.textContent = whole;
    };
    try {
      const input = { messages: fitConversation([...said, asked], session().limits) };
      for await (const item of chat(session(), input, { signal, renew })) {
        if ("delta" in item) {
          hear(heard + item.delta);
        } else {
          hear(item.text);
          said = [...said, asked, { role: "assistant", content: item.text }];
          reply.append(facts(item));
        }
        follow();
      }
    } catch (error) {
      // The customer has left: what is on the list now is another conversation.
      if (answering !== controller) return;
      reply.classList.remove("waiting");
      if (heard === "") reply.remove();
      list.append(signal.aborted ? say(create("li", "note"), "stopped") : note(error, text, [question, reply]));
      follow();
    } finally {
      clearTimeout(warming);
      if (answering === controller) setAnswering(undefined);
    }
  }

  /** What went wrong, in kind words, with the one button that helps. */
  function note(error: unknown, text: string, failed: HTMLElement[]): HTMLLIElement {
    const problem = error instanceof ApiProblem ? error : new ApiProblem("internal", String(error));
    const item = create("li", "note problem");
    item.setAttribute("role", "alert");
    const detail = create("small", "", `${problem.code}: ${problem.message}`);
    item.append(say(create("p"), problem.code), detail);
    const atDoor = ["unauthorized", "wrong_token", "ticket_missing", "ticket_invalid", "ticket_wrong_model"];
    if (atDoor.includes(problem.code)) {
      item.append(action("toDoor", toDoor));
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

  // A phone's keyboard and the back room take room from the talk: the last word stays in sight.
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
    // While an input method is composing, Enter takes its candidate. Safari says so by the key code 229 only.
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
  const button = say(create("button"), word);
  button.type = "button";
  button.addEventListener("click", run);
  return button;
}

/** Who answered and how fast, under the reply. */
function facts({ model, timings }: ChatDone): HTMLElement {
  const line = create("small", "facts", `${model.name} ${model.version} · `);
  const took = (word: "firstText" | "wholeReply", ms: number) => [say(create("span"), word), ` ${Math.round(ms)} ms`];
  line.append(...took("firstText", timings.ttft_ms), " · ", ...took("wholeReply", timings.total_ms));
  return line;
}
