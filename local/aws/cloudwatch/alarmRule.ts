import type { AlarmState } from "./alarmState";

/** Whether a rule is true for the states of the alarms. An alarm that does not exist is `INSUFFICIENT_DATA`. */
export type Rule = (stateOf: (alarm: string) => AlarmState) => boolean;

const TOKEN =
  /\s*(?:(AND|OR|NOT|TRUE|FALSE)\b|(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]+)"|([^\s)"]+))\s*\)|([()]))/y;

type Token = { word: string } | { state: AlarmState; alarm: string };

/**
 * Parses the rule of a composite alarm: `ALARM("a") AND (OK("b") OR NOT ALARM("c"))`. AND binds closer than OR
 * (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html).
 *
 * @throws Error that quotes an invalid rule
 */
export function parseRule(rule: string): Rule {
  const tokens = tokensOf(rule);
  const fail = (): never => {
    throw new Error(`Not a rule of a composite alarm: ${rule}`);
  };
  const takeWord = (word: string) => {
    const [next] = tokens;
    const found = next !== undefined && "word" in next && next.word === word;
    if (found) tokens.shift();
    return found;
  };
  const any = (): Rule => {
    const terms = [all()];
    while (takeWord("OR")) terms.push(all());
    return (stateOf) => terms.some((term) => term(stateOf));
  };
  const all = (): Rule => {
    const terms = [one()];
    while (takeWord("AND")) terms.push(one());
    return (stateOf) => terms.every((term) => term(stateOf));
  };
  const one = (): Rule => {
    if (takeWord("NOT")) {
      const term = one();
      return (stateOf) => !term(stateOf);
    }
    if (takeWord("(")) {
      const inner = any();
      return takeWord(")") ? inner : fail();
    }
    if (takeWord("TRUE")) return () => true;
    if (takeWord("FALSE")) return () => false;
    const next = tokens.shift();
    if (next === undefined || !("alarm" in next)) return fail();
    return (stateOf) => stateOf(next.alarm) === next.state;
  };
  const parsed = any();
  return tokens.length === 0 ? parsed : fail();
}

function tokensOf(rule: string): Token[] {
  const tokens: Token[] = [];
  const text = rule.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const [, word, state, quoted, plain, parenthesis] = TOKEN.exec(text) ?? [];
    const name = word ?? parenthesis;
    const alarm = quoted ?? plain;
    if (name !== undefined) tokens.push({ word: name });
    else if (state !== undefined && alarm !== undefined) tokens.push({ state: state as AlarmState, alarm });
    else throw new Error(`Not a rule of a composite alarm, at character ${at}: ${rule}`);
  }
  return tokens;
}
