import { type Language, type Word, words } from "./translations";

/** Values for the `{names}` in a text. */
export type Values = Record<string, string | number>;

const languageListeners: (() => void)[] = [];

/** Finds an element of `index.html` by id and checks its type. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
  return found;
}

/** Creates an element with a class and a text. */
export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

/** Creates a button with a translated text. */
export function button(word: Word, run: () => void): HTMLButtonElement {
  const element = setText(create("button"), word);
  element.type = "button";
  element.addEventListener("click", run);
  return element;
}

/** Creates a check box with a translated label. */
export function checkbox(
  word: Word,
  run: (checked: boolean) => void,
): { label: HTMLLabelElement; box: HTMLInputElement } {
  const box = create("input");
  box.type = "checkbox";
  box.addEventListener("change", () => run(box.checked));
  const label = create("label");
  label.append(box, setText(create("span"), word));
  return { label, box };
}

/** Draws Mama's face. A screen reader ignores it. */
export function face(): SVGSVGElement {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "face");
  svg.setAttribute("viewBox", "16 4 88 88");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", "#mama");
  for (const size of ["width", "height"]) use.setAttribute(size, "120");
  svg.append(use);
  return svg;
}

/** Sets an element's text. The text changes with the page's language. */
export function setText<T extends Element & HTMLOrSVGElement>(element: T, word: Word, values?: Values): T {
  element.dataset.word = word;
  if (values) element.dataset.values = JSON.stringify(values);
  else delete element.dataset.values;
  element.textContent = textOf(word, values);
  return element;
}

/** A text in the page's language. */
export function textOf(word: Word, values: Values = {}): string {
  return words[language()][word].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** A duration in the page's language, such as `1 分 20 秒`. */
export function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  const rest = seconds % 60;
  const parts = [
    ...(minutes > 0 ? [textOf("minutes", { n: minutes })] : []),
    ...(rest > 0 || minutes === 0 ? [textOf("seconds", { n: rest })] : []),
  ];
  return parts.join(" ");
}

/** Sets an element's date. The date's format changes with the page's language. */
export function setDate(element: HTMLTimeElement, iso: string): void {
  element.dateTime = iso;
  element.textContent = new Date(iso).toLocaleDateString(language(), { dateStyle: "long" });
  element.title = new Date(iso).toLocaleString(language(), { dateStyle: "long", timeStyle: "short" });
}

/** The page's language. */
export function language(): Language {
  return document.documentElement.lang === "ja" ? "ja" : "en";
}

/**
 * Marks an element as Japanese when its text is Japanese. Then lines break between phrases, and a screen reader uses a
 * Japanese voice.
 */
export function markLanguage(element: HTMLElement, text: string): void {
  if (/[\p{scx=Hira}\p{scx=Kana}]/u.test(text)) element.lang = "ja";
}

/** Calls the listener after every change of the language, for texts that `setText` and `setDate` do not set. */
export function onLanguageChange(listener: () => void): void {
  languageListeners.push(listener);
}

/** Changes the page's language and all its texts. */
export function setLanguage(next: Language): void {
  document.documentElement.lang = next;
  document.title = words[next].title;
  for (const element of document.querySelectorAll<HTMLElement | SVGElement>("[data-word]")) {
    const { word, values } = element.dataset;
    element.textContent = textOf(word as Word, values === undefined ? undefined : (JSON.parse(values) as Values));
  }
  for (const element of document.querySelectorAll<HTMLTimeElement>("time.day")) setDate(element, element.dateTime);
  for (const listener of languageListeners) listener();
}
