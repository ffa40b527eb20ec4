import type { ChatDone, ChatItem } from "../../client";
import { create, setText } from "./dom";

/** Milliseconds without any text of the reply before the page says that the model is warming up. */
const WARMING_AFTER_MS = 4_000;

/** The list item that shows one reply while it arrives. */
export interface ReplyBubble {
  element: HTMLLIElement;
  /** Shows an item of the reply. */
  show(item: ChatItem): void;
  /** Stops waiting for text. Removes the element when it shows no text of the reply. */
  end(): void;
}

/**
 * Creates an empty bubble that waits for text.
 *
 * @param onWarming called when the page itself says that the model is warming up
 */
export function createReplyBubble(onWarming: () => void): ReplyBubble {
  const element = create("li", "bubble assistant waiting");
  let text = "";
  const warming = setTimeout(() => {
    element.append(setText(create("span", "warming"), "warming"));
    onWarming();
  }, WARMING_AFTER_MS);

  function showText(whole: string): void {
    clearTimeout(warming);
    text = whole;
    element.classList.toggle("waiting", whole === "");
    element.textContent = whole;
  }

  return {
    element,
    show(item) {
      if ("delta" in item) {
        showText(text + item.delta);
      } else if ("waiting" in item) {
        showText("");
        element.append(mamaSays(item.message));
      } else if ("restart" in item) {
        showText("");
      } else {
        showText(item.text);
        element.append(facts(item));
      }
    },
    end() {
      clearTimeout(warming);
      element.classList.remove("waiting");
      if (text === "") element.remove();
    },
  };
}

/** Mama's own sentence, which is Japanese in every language of the page. */
function mamaSays(message: string): HTMLElement {
  const sentence = create("span", "warming", message);
  sentence.lang = "ja";
  return sentence;
}

/** Shows provider, model and timings under the reply. */
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
