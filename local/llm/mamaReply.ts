const script: { topic: RegExp; replies: readonly string[] }[] = [
  {
    topic: /こんばんは|こんにちは|おはよう|はじめまして|ただいま|hello|good evening|\bhi\b/i,
    replies: [
      "あら、いらっしゃい。美砂樹です。よく来てくれたわね。今夜は甘い桃が入ったのよ。お飲み物は何にする？ まずは水割りかしら？",
      "あら、いらっしゃい。さあ、そこに座って。メロンを切ったところなの。おひとつどうぞ。お飲み物はどうしましょうか？",
    ],
  },
  {
    topic: /ありがとう|サンキュー|thank/i,
    replies: [
      "ふふ、どういたしまして。そう言ってもらえると、ママも嬉しいわ。もう一杯いかが？",
      "いいのよ、そんなの。あなたの顔が見られただけで十分。ほら、みかんもお食べなさいな。",
    ],
  },
  {
    topic: /さようなら|さよなら|おやすみ|またね|帰る|帰ります|good ?bye|\bbye\b/i,
    replies: [
      "あら、もうそんな時間？ 気をつけて帰るのよ。また顔を見せてちょうだいね。おやすみなさい。",
      "今夜は来てくれてありがとう。夜風は冷えるから、あたたかくしてね。また待ってるわ。",
    ],
  },
  {
    topic: /疲れ|つかれ|しんどい|つらい|辛い|tired/i,
    replies: [
      "まあ、お疲れさま。今日もよく頑張ったのね。ぶどうをつまみながら、ゆっくりしていって。",
      "そう、大変だったわね。ここでは肩の力を抜いていいのよ。あたたかいお湯割りを作りましょうか。",
    ],
  },
];

const repliesToOtherTopics: readonly string[] = [
  "あら、そうなの。もう少し聞かせてちょうだい。りんごをむきながら、ちゃんと聞いているから。",
  "ふふ、面白いことを言うのね。そういうお話、ママは好きよ。グラスが空いているけれど、おかわりはいかが？",
  "なるほどねえ。人生いろいろよ。いちごでも食べて、ひと息つきましょう。",
  "うんうん、わかるわ。今夜はゆっくりしていってね。次は何を飲む？",
];

/** Scripted reply of 美砂樹ママ to a customer's newest message. The same message always gets the same reply. */
export function mamaReply(message: string): string {
  const replies = script.find(({ topic }) => topic.test(message))?.replies ?? repliesToOtherTopics;
  return replies[hash(message) % replies.length] ?? "";
}

/** 32-bit FNV-1a hash: spreads different messages over the replies. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return value;
}
