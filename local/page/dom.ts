import { type Language, type Word, words } from "./words";

/** The element of `index.html` with this id, as the type it is. */
export function byId<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`);
  return found;
}

/** A new element with a class and a text. */
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

/** Gives an element a text that follows the page's language. */
export function say<T extends HTMLElement>(element: T, word: Word): T {
  element.dataset.word = word;
  element.textContent = words[language()][word];
  return element;
}

/** Gives an element a day that is written in the page's language. */
export function sayDay(element: HTMLTimeElement, iso: string): void {
  element.dateTime = iso;
  element.textContent = new Date(iso).toLocaleDateString(language(), { dateStyle: "long" });
  element.title = new Date(iso).toLocaleString(language(), { dateStyle: "long", timeStyle: "short" });
}

/** The page's language. */
export function language(): Language {
  return document.documentElement.lang === "ja" ? "ja" : "en";
}

/** Changes the page's language, and every text that follows it. */
export function speak(next: Language): void {
  document.documentElement.lang = next;
  document.title = words[next].title;
  for (const element of document.querySelectorAll<HTMLElement>("[data-word]")) {
    element.textContent = words[next][element.dataset.word as Word];
  }
  for (const element of document.querySelectorAll<HTMLTimeElement>("time.day")) sayDay(element, element.dateTime);
}
