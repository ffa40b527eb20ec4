import type { ChatDone, ChatItem } from "@snack-misaki/client";
import { button, create, duration, face, markLanguage, setText } from "./dom";
import type { Word } from "./translations";

/** Seconds without any text of the reply before the page shows that Mama is getting ready. */
const WARMING_AFTER_S = 4;
/** Seconds after which the page shows the waiting time and offers to stop. */
const LONG_WAIT_S = 15;
const COPIED_MS = 2_000;
/**
 * Length in characters from which a growing reply breaks lines at any character. To find phrases, Chromium would read
 * the whole reply after each piece.
 */
const PHRASED_CHARS = 400;

/** Options of the bubble for a new reply. */
export interface ReplyOptions {
  /** Milliseconds without any text after which the chat gives up. */
  waitLimitMs: number;
  /** Called after the bubble has grown. */
  onGrow(): void;
  /** Called when the customer no longer wants to wait. */
  onStop(): void;
  /** Called when a wait has become long. A restarted reply has a second wait. */
  onLongWait(): void;
  /** Called when no text has arrived within the limit. */
  onLimit(): void;
}

/** The list item that shows one reply while it arrives. */
export interface ReplyBubble {
  element: HTMLLIElement;
  /** The text so far. */
  text(): string;
  /** Shows an item of the reply. */
  show(item: ChatItem): void;
  /** Ends the reply. Removes the element of a reply without text. */
  end(how: "complete" | "stopped" | "broken"): void;
}

/** Creates Mama's greeting in the page's language. The model does not read this greeting. */
export function greeting(): HTMLLIElement {
  const { element, words, under } = frame();
  setText(words, "greeting");
  under.remove();
  return element;
}

/** Creates a bubble with a complete, stopped or broken reply. */
export function pastReply(text: string, how: "complete" | "stopped" | "broken"): HTMLLIElement {
  const parts = frame();
  parts.words.textContent = text;
  markLanguage(parts.words, text);
  close(parts, text, how);
  return parts.element;
}

/** Creates an empty bubble that waits for text. */
export function createReply({ waitLimitMs, onGrow, onStop, onLongWait, onLimit }: ReplyOptions): ReplyBubble {
  const parts = frame();
  const { element, bubble, words, under } = parts;
  const text = words.appendChild(document.createTextNode(""));
  const waiting = create("div", "warming");
  const sentence = create("span");
  const since = create("span");
  since.setAttribute("role", "timer");
  let limit: ReturnType<typeof setTimeout>;
  let clock: ReturnType<typeof setInterval>;
  startWaiting();

  function startWaiting(): void {
    const startedAt = Date.now();
    limit = setTimeout(onLimit, waitLimitMs);
    clock = setInterval(() => tick(Math.round((Date.now() - startedAt) / 1000)), 1_000);
    waiting.replaceChildren();
    bubble.append(waiting);
    bubble.classList.add("waiting");
  }

  function tick(seconds: number): void {
    if (seconds >= WARMING_AFTER_S && !sentence.isConnected) say("warming");
    if (seconds < LONG_WAIT_S) return;
    if (!since.isConnected) {
      waiting.append(since, button("stopWaiting", onStop));
      onLongWait();
      onGrow();
    }
    setText(since, "waitedFor", { time: duration(seconds), limit: duration(Math.round(waitLimitMs / 1000)) });
  }

  function say(word: Word): void {
    waiting.prepend(setText(sentence, word));
    onGrow();
  }

  function stopWaiting(): void {
    clearTimeout(limit);
    clearInterval(clock);
    waiting.remove();
    bubble.classList.remove("waiting");
  }

  /** Text that has arrived since the last frame. One change per frame keeps the page smooth. */
  let arrived = "";
  let frameId = 0;

  function flush(): void {
    cancelAnimationFrame(frameId);
    frameId = 0;
    if (arrived === "") return;
    // Appends to the text node, so that a screen reader does not read the whole reply again.
    text.appendData(arrived);
    bubble.classList.toggle("long", text.length > PHRASED_CHARS);
    markLanguage(words, arrived);
    arrived = "";
    onGrow();
  }

  function restart(): void {
    arrived = "";
    text.data = "";
    stopWaiting();
    startWaiting();
  }

  function finish(item: ChatDone): void {
    flush();
    if (text.data !== item.text) text.data = item.text;
    markLanguage(words, item.text);
    under.append(facts(item));
  }

  return {
    element,
    text: () => text.data + arrived,
    show(item) {
      if ("waiting" in item) {
        if (!bubble.contains(waiting)) return;
        delete sentence.dataset.word;
        sentence.textContent = item.message;
        // Mama's own sentence is Japanese in every language of the page.
        sentence.lang = "ja";
        waiting.prepend(sentence);
        onGrow();
        return;
      }
      if ("restart" in item) return restart();
      stopWaiting();
      if ("done" in item) return finish(item);
      arrived += item.delta;
      frameId ||= requestAnimationFrame(flush);
    },
    end(how) {
      flush();
      stopWaiting();
      bubble.classList.remove("long");
      if (text.data === "") element.remove();
      else close(parts, text.data, how);
    },
  };
}

interface Parts {
  element: HTMLLIElement;
  bubble: HTMLDivElement;
  words: HTMLSpanElement;
  under: HTMLDivElement;
}

/** Creates a list item with Mama's face, a bubble and a line below it. */
function frame(): Parts {
  const element = create("li", "mama");
  const side = create("div");
  const bubble = create("div", "bubble assistant");
  const words = create("span", "words");
  const under = create("div", "under");
  bubble.append(words);
  side.append(bubble, under);
  element.append(face(), side);
  return { element, bubble, words, under };
}

function close({ bubble, under }: Parts, text: string, how: "complete" | "stopped" | "broken"): void {
  bubble.classList.toggle("broken", how === "broken");
  if (how !== "complete") under.prepend(setText(create("span", "torn"), how === "broken" ? "torn" : "stopped"));
  under.append(copyButton(text));
}

function copyButton(text: string): HTMLButtonElement {
  const copy = button("copy", async () => {
    const copied = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    setText(copy, copied ? "copied" : "notCopied");
    setTimeout(() => setText(copy, "copy"), COPIED_MS);
  });
  return copy;
}

/** Shows provider, model and timings under the reply, for developers. */
function facts({ provider, model, timings, restarted }: ChatDone): HTMLElement {
  const line = create("small", "facts");
  const separated = (...nodes: (Node | string)[]) => line.append(...(line.hasChildNodes() ? [" · "] : []), ...nodes);
  if (provider !== undefined) separated(provider);
  separated(model.version === model.name ? model.name : `${model.name} ${model.version}`);
  separated(setText(create("span"), "firstText"), ` ${Math.round(timings.ttft_ms)} ms`);
  separated(setText(create("span"), "wholeReply"), ` ${Math.round(timings.total_ms)} ms`);
  if (restarted) separated(setText(create("span"), "restarted"));
  return line;
}
