import { greetingsText, personaText } from "./generated/personaText";

/** Japan has no summer time. */
const TOKYO_OFFSET_HOURS = 9;

const greetings = greetingsText.split("\n").map((line) => {
  const [hour = "", ...words] = line.split(" ");
  return { fromHour: Number(hour), text: words.join(" ") };
});

/**
 * System prompt of external LLMs: the persona and the greeting for the time of day in Japan. The same rule as in the
 * worker's `persona.py`: before the first hour of the list, its last greeting still applies.
 */
export function systemPrompt(now: Date): { persona: string; greeting: string } {
  const hour = (now.getUTCHours() + TOKYO_OFFSET_HOURS) % 24;
  const greeting = greetings.findLast(({ fromHour }) => fromHour <= hour) ?? greetings.at(-1);
  return { persona: personaText, greeting: greeting?.text ?? "" };
}
