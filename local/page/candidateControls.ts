import type { CandidateEvent, VersionReplies } from "../../contract/admin";
import { LONGEST_FIRST_TEXT_MS } from "../../functions/core/canary/verdict";
import { type CandidatesState, type CandidateView, candidateFaults, type UserVersion } from "./candidatesPanel";
import { button, byId, create, language, onLanguageChange, setText, textOf } from "./dom";
import type { PanelClient } from "./panelClient";
import type { Word } from "./translations";

const MOST_EVENTS = 5;

/** The drawer's part for candidates: each user's version, the newest verdict, and the controls of an operator. */
export class CandidateControls {
  private readonly section = byId("candidates", HTMLElement);
  private readonly cards = new Map<string, CandidateCard>();
  private views: CandidateView[] = [];
  private visitor: string | undefined;

  constructor(private readonly client: PanelClient) {
    onLanguageChange(() => this.show());
  }

  /** Whether a model has a candidate. */
  get isShown(): boolean {
    return this.views.length > 0;
  }

  /** @param userId user id of the visitor, who may be a guest. Undefined before the first session */
  setVisitor(userId: string | undefined): void {
    this.visitor = userId;
  }

  /** Reads and shows the state. */
  async load(): Promise<void> {
    const answer = await this.client.read(this.path(""));
    if (answer.ok) this.setState(answer.body as CandidatesState);
  }

  private async act(action: string, body: object): Promise<void> {
    const answer = await this.client.act(this.path(`/${action}`), body);
    if (answer.ok) this.setState(answer.body as CandidatesState);
    else this.show();
  }

  private path(action: string): string {
    return `/candidates${action}${this.visitor === undefined ? "" : `?user=${encodeURIComponent(this.visitor)}`}`;
  }

  private setState({ candidates }: CandidatesState): void {
    this.views = candidates;
    this.show();
  }

  private show(): void {
    this.section.hidden = !this.isShown;
    const shown = new Set(this.views.map(({ candidate }) => candidate.model as string));
    for (const [model, card] of this.cards) {
      if (shown.has(model)) continue;
      card.element.remove();
      this.cards.delete(model);
    }
    for (const view of this.views) this.cardOf(view.candidate.model).show(view);
  }

  private cardOf(model: string): CandidateCard {
    const card = this.cards.get(model) ?? new CandidateCard(model, (action, body) => void this.act(action, body));
    if (!this.cards.has(model)) this.section.append(card.element);
    this.cards.set(model, card);
    return card;
  }
}

/**
 * Card of one model's candidate. Each update keeps the elements of the controls, so that they keep the focus and an
 * unfinished number.
 */
class CandidateCard {
  readonly element = create("section", "candidate");
  private readonly title = create("h4");
  private readonly facts = create("table");
  private readonly share = create("input");
  private readonly fault = create("select");
  private readonly events = create("ol");

  constructor(
    private readonly model: string,
    private readonly act: (action: string, body: object) => void,
  ) {
    this.facts.createTBody();
    this.element.append(this.title, this.controls(), this.facts, this.events);
  }

  /** Shows the candidate in the page's language. */
  show({ candidate, versions, users, fault }: CandidateView): void {
    this.title.textContent = `${this.model}: ${versions.released} → ${versions.candidate}`;
    if (document.activeElement !== this.share) this.share.value = String(candidate.share);
    this.fault.value = fault;
    const { override, verdict } = candidate;
    this.fill([
      [
        "candidateShare",
        textOf("candidateShareOf", { share: candidate.share, configured: candidate.configured_share }),
      ],
      ...(override ? [["candidateOverride", `${override.reason} ${time(override.at)}`] as Fact] : []),
      ["candidateReady", textOf(candidate.is_ready ? "candidateIsReady" : "candidateIsNotReady")],
      ["candidateVerdict", verdict ? `${verdict.action}: ${verdict.reason} ${time(verdict.at)}` : textOf("noVerdict")],
      ["candidateReplies", repliesText(candidate.candidate)],
      ["releasedReplies", repliesText(candidate.released)],
      ...users.map((user): Fact => [nameOf(user), versions[user.isCandidate ? "candidate" : "released"], user]),
    ]);
    this.events.replaceChildren(...candidate.events.slice(0, MOST_EVENTS).map(eventItem));
  }

  private fill(facts: Fact[]): void {
    const rows = facts.map(([name, value, user]) => {
      const row = create("tr");
      const head = typeof name === "string" ? create("th", "", textOf(name)) : create("th", "", name.text);
      head.scope = "row";
      const cell = create("td", "", value);
      row.classList.toggle("chosen", user?.isCandidate === true);
      row.append(head, cell);
      return row;
    });
    this.facts.tBodies[0]?.replaceChildren(...rows);
  }

  private controls(): HTMLElement {
    const { model } = this;
    Object.assign(this.share, { type: "number", min: "0", max: "100", step: "any", id: `share-${model}` });
    this.fault.id = `fault-${model}`;
    for (const fault of candidateFaults) {
      const option = setText(create("option"), `candidate_${fault}`);
      option.value = fault;
      this.fault.append(option);
    }
    this.fault.addEventListener("change", () => this.act("fault", { model, fault: this.fault.value }));
    const row = create("div", "buttons");
    row.append(
      field("candidateShare", this.share),
      button("setShare", () => this.act("share", { model, share: this.share.valueAsNumber })),
      button("abortCandidate", () => this.act("abort", { model })),
      field("candidateFault", this.fault),
    );
    return row;
  }
}

/**
 * Returns a control after its label. The label must not contain the control. Otherwise the texts of the control would
 * become part of its name.
 */
function field(word: Word, control: HTMLElement): HTMLElement {
  const label = setText(create("label"), word);
  label.htmlFor = control.id;
  const together = create("span", "field");
  together.append(label, control);
  return together;
}

/** A line of a card: its name, its value, and the user whom it describes. */
type Fact = [name: Word | { text: string }, value: string, user?: UserVersion];

function nameOf({ email, isVisitor }: UserVersion): { text: string } {
  const you = textOf("you");
  return { text: email === undefined ? you : `${email}${isVisitor ? ` (${you})` : ""}` };
}

function repliesText({ first_text_ms, ...counts }: VersionReplies): string {
  const firstText =
    first_text_ms &&
    textOf("firstTextOf", { p50: milliseconds(first_text_ms.p50), p95: milliseconds(first_text_ms.p95) });
  return [textOf("replyCounts", { ...counts }), firstText].filter(Boolean).join(" ");
}

/** A percentile of the first text. The admin function returns `LONGEST_FIRST_TEXT_MS` + 1 for every longer time. */
function milliseconds(ms: number): string {
  return ms > LONGEST_FIRST_TEXT_MS ? `> ${LONGEST_FIRST_TEXT_MS} ms` : `${ms} ms`;
}

function eventItem({ at, by, from, to, reason }: CandidateEvent): HTMLLIElement {
  return create("li", "", `${time(at)} ${from === null ? "" : `${from}% → `}${to}% (${by}) ${reason}`);
}

function time(iso: string): string {
  return new Date(iso).toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
