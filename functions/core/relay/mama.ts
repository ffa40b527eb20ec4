import type { ErrorCode } from "../../../contract/errors";

/** Mama's sentence while a model starts. */
export const waitingSentence =
  "いらっしゃい。ごめんなさいね、いまお店を開けるところなの。もう少しだけ待っていてくれるかしら。";

/** Mama's reply when a model or its content filter refuses to answer and sent no text. */
export const refusalSentence = "あら、そのお話はちょっと、ここではできないわ。ごめんなさいね。それより、一杯いかが？";

const busySentence = "ごめんなさいね、いまお店が立てこんでいるの。少ししたら、また声をかけてくれる？";
const brokenSentence = "あら、ごめんなさい。ちょっと手がふさがってしまって。もう一度話してくれるかしら。";

const sentences: Partial<Record<ErrorCode, string>> = {
  rate_limited: "今夜はたくさんお話ししたわね。少し休んで、またあとで聞かせてちょうだい。",
  overloaded: busySentence,
  unavailable: busySentence,
  timeout: busySentence,
  too_long: "まあ、長いお話ねえ。もう少し短くして、聞かせてくれるかしら。",
  invalid_input: "ごめんなさい、うまく聞きとれなかったわ。もう一度話してくれるかしら。",
};

/** Mama's sentence for an error, for pages that show it as her reply. */
export function mamaSentence(code: ErrorCode): string {
  return sentences[code] ?? brokenSentence;
}
