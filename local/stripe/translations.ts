import type { Context } from "hono";

const ja = {
  pay: "支払う",
  back: "戻る",
  card: "カード番号",
  perMonth: "／月",
  testCards: "テスト用のカード",
  works: "成功するカード",
  declined: "拒否されるカード",
  noFunds: "残高が足りないカード",
  authenticates: "本人認証(3D セキュア)を求めるカード",
  failsLater: "次回の更新から失敗するカード",
  disputes: "あとで異議を申し立てるカード",
  double: "これは Stripe の代役です。お金は動きません。",
  authenticateTitle: "本人認証",
  authenticateText: "カード会社が、ご本人であることの確認を求めています。",
  authenticate: "認証する",
  failAuthentication: "認証に失敗する",
  gone: "このページの有効期限は切れています。",
  portal: "ご契約の管理",
  toShop: "お店に戻る",
  cancel: "解約する",
  resume: "解約を取りやめる",
  change: "プランを変更する",
  cardTitle: "お支払い方法",
  replaceCard: "カードを変更する",
  payOpen: "未払いの請求を支払う",
  invoices: "請求の履歴",
  renewsOn: "次回更新日",
  endsOn: "ご利用終了日",
  none: "ご契約はありません。",
  failed: "お支払いができませんでした。別のカードをお試しください。",
  plan: "プラン",
};

type Words = typeof ja;

const en: Words = {
  pay: "Pay",
  back: "Back",
  card: "Card number",
  perMonth: " / month",
  testCards: "Test cards",
  works: "Works",
  declined: "Is declined",
  noFunds: "Has insufficient funds",
  authenticates: "Asks for authentication (3-D Secure)",
  failsLater: "Fails from the next renewal",
  disputes: "Is disputed afterwards",
  double: "This is a double of Stripe. No real payment is made.",
  authenticateTitle: "Authentication",
  authenticateText: "The bank asks you to confirm this payment.",
  authenticate: "Authenticate",
  failAuthentication: "Fail",
  gone: "This page is no longer valid.",
  portal: "Manage your plan",
  toShop: "Back to the shop",
  cancel: "Cancel the plan",
  resume: "Keep the plan",
  change: "Change the plan",
  cardTitle: "Payment method",
  replaceCard: "Change the card",
  payOpen: "Pay open invoices",
  invoices: "Invoices",
  renewsOn: "Renews on",
  endsOn: "Ends on",
  none: "There is no subscription.",
  failed: "The payment did not succeed. Please try another card.",
  plan: "Plan",
};

const statuses: Record<string, string> = {
  active: "ご利用中",
  trialing: "お試し中",
  past_due: "お支払いが遅れています",
  unpaid: "未払い",
  canceled: "解約済み",
  incomplete: "手続き中",
  incomplete_expired: "期限切れ",
  paused: "一時停止中",
  paid: "支払い済み",
  open: "未払い",
  draft: "準備中",
  void: "取り消し",
  uncollectible: "回収不能",
};

/** Stripe's Japanese texts for a declined card, by code. */
const declines: Record<string, string> = {
  generic_decline: "カードが拒否されました。",
  insufficient_funds: "カードの利用可能額が足りません。",
  expired_card: "カードの有効期限が切れています。",
  incorrect_number: "カード番号が正しくありません。",
  payment_intent_authentication_failure: "本人認証ができませんでした。別のお支払い方法をお試しください。",
};

/** Language and texts of a page: Japanese, unless the browser prefers another language. */
export interface Speech {
  lang: "ja" | "en";
  words: Words;
  status(code: string): string;
  decline(code: string, message: string): string;
  date(seconds: number): string;
  money(amount: number, currency: string): string;
}

export function speech(c: Context): Speech {
  const preferred = (c.req.header("accept-language") ?? "ja").trim().toLowerCase();
  const lang = preferred.startsWith("ja") || preferred === "*" ? "ja" : "en";
  const isJa = lang === "ja";
  return {
    lang,
    words: isJa ? ja : en,
    status: (code) => (isJa ? (statuses[code] ?? code) : code.replaceAll("_", " ")),
    decline: (code, message) => (isJa ? (declines[code] ?? message) : message),
    date: (seconds) => new Date(seconds * 1000).toLocaleDateString(isJa ? "ja-JP" : "en-GB", { dateStyle: "long" }),
    money: (amount, currency) =>
      new Intl.NumberFormat(isJa ? "ja-JP" : "en-GB", { style: "currency", currency }).format(
        amount / (currency === "jpy" ? 1 : 100),
      ),
  };
}
