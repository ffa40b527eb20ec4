import { byId, setText } from "./dom";

/** Functions of the page that the input line uses. */
export interface ComposerOptions {
  /** Sends a message. */
  send(text: string): void;
  /** Stops the reply. */
  stop(): void;
}

/** The input line with its button. */
export interface Composer {
  /** Turns the button into a stop button during a reply. */
  setAnswering(answering: boolean): void;
  /** Sets the maximum length of a message. A longer message stays in the line but cannot be sent. */
  setLimit(chars: number): void;
  /** Shows an unsent message again, unless the customer has typed a new message. */
  restore(text: string): void;
  /** Empties the line. */
  clear(): void;
}

/** Starts the input line. */
export function startComposer({ send, stop }: ComposerOptions): Composer {
  const line = byId("line", HTMLTextAreaElement);
  const button = byId("send", HTMLButtonElement);
  const note = byId("too-long", HTMLElement);
  let limit = Number.MAX_SAFE_INTEGER;
  let answering = false;

  /** Shows the number of remaining or excess characters. Shows nothing for a message of ordinary length. */
  function check(): void {
    const over = line.value.trim().length - limit;
    note.hidden = over < -limit / 10;
    note.classList.toggle("room", over <= 0);
    line.setAttribute("aria-invalid", String(over > 0));
    if (over > 0) setText(note, "overLimit", { limit, over });
    else if (!note.hidden) setText(note, "charsLeft", { left: -over });
    button.disabled = over > 0 && !answering;
  }

  function submit(): void {
    const text = line.value.trim();
    if (answering || text === "" || text.length > limit) return;
    setLine("");
    send(text);
  }

  function setLine(text: string): void {
    line.value = text;
    check();
  }

  byId("ask", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    if (answering) stop();
    else submit();
  });
  line.addEventListener("input", check);
  line.addEventListener("keydown", (event) => {
    // During composition, Enter confirms the input method's candidate. Safari shows the composition only by the key
    // code 229.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });

  return {
    setAnswering(next) {
      answering = next;
      setText(button, next ? "stop" : "send");
      check();
    },
    setLimit(chars) {
      limit = chars;
      check();
    },
    restore(text) {
      if (line.value === "") setLine(text);
    },
    clear: () => setLine(""),
  };
}
