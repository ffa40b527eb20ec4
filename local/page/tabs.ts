import { byId } from "./dom";

/**
 * Starts the tabs of a tab list: a click or an arrow key shows another panel.
 * https://www.w3.org/WAI/ARIA/apg/patterns/tabs/
 *
 * @param onSelect called with the panel's id when a tab is selected by hand
 */
export function startTabs(listId: string, onSelect: (panelId: string) => void): void {
  const list = byId(listId, HTMLElement);
  const tabs = [...list.querySelectorAll<HTMLElement>("[role=tab]")];
  const panelOf = (tab: HTMLElement) => tab.getAttribute("aria-controls") ?? "";

  function show(selected: HTMLElement): void {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", String(tab === selected));
      tab.tabIndex = tab === selected ? 0 : -1;
      byId(panelOf(tab), HTMLElement).hidden = tab !== selected;
    }
  }

  function select(tab: HTMLElement | undefined): void {
    if (!tab) return;
    show(tab);
    tab.focus();
    onSelect(panelOf(tab));
  }

  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tab));
    // A panel scrolls, so the keyboard must reach it.
    byId(panelOf(tab), HTMLElement).tabIndex = 0;
  }
  list.addEventListener("keydown", (event) => {
    const index = tabs.indexOf(event.target as HTMLElement);
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    select(tabs.at(next % tabs.length));
  });
  if (tabs[0]) show(tabs[0]);
}
