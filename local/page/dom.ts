import { type Language, type Word, words } from "./translations";

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

/** Sets an element's text; it changes with the page's language. */
export function setText<T extends HTMLElement>(element: T, word: Word): T {
  element.dataset.word = word;
  element.textContent = words[language()][word];
  return element;
}

/** Sets an element's date; its format changes with the page's language. */
export function setDate(element: HTMLTimeElement, iso: string): void {
  element.dateTime = iso;
  element.textContent = new Date(iso).toLocaleDateString(language(), { dateStyle: "long" });
  element.title = new Date(iso).toLocaleString(language(), { dateStyle: "long", timeStyle: "short" });
}

/** The page's language. */
export function language(): Language {
  return document.documentElement.lang === "ja" ? "ja" : "en";
}

/** Changes the page's language and all its texts. */
export function setLanguage(next: Language): void {
  document.documentElement.lang = next;
  document.title = words[next].title;
  for (const element of document.querySelectorAll<HTMLElement>("[data-word]")) {
    element.textContent = words[next][element.dataset.word as Word];
  }
  for (const element of document.querySelectorAll<HTMLTimeElement>("time.day")) setDate(element, element.dateTime);
}
