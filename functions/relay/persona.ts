import { greetingsText, personaText, seasonsText } from "./generated/personaText";

/** Japan has no summer time. */
const TOKYO_OFFSET_MS = 9 * 3_600_000;

/** Lines of one file of the persona. Each line applies from the hour or month `from` on. */
type Lines = readonly { from: number; text: string }[];

const seasons = linesOf(seasonsText);
const greetings = linesOf(greetingsText);

/**
 * System prompt of external LLMs. `greeting` contains the season and the greeting for the time of day in Japan. The
 * rules are the same as in the worker's `persona.py`.
 */
export function systemPrompt(now: Date): { persona: string; greeting: string } {
  const tokyo = new Date(now.getTime() + TOKYO_OFFSET_MS);
  const season = latest(seasons, tokyo.getUTCMonth() + 1);
  return { persona: personaText, greeting: `${season}\n${latest(greetings, tokyo.getUTCHours())}` };
}

function linesOf(list: string): Lines {
  return list.split("\n").map((line) => {
    const [from = "", ...words] = line.split(" ");
    return { from: Number(from), text: words.join(" ") };
  });
}

/**
 * Returns the line that applies at an hour or month. Before the first line's hour, the last line applies: the night
 * lasts past midnight.
 */
function latest(lines: Lines, number: number): string {
  return (lines.findLast(({ from }) => from <= number) ?? lines.at(-1))?.text ?? "";
}
