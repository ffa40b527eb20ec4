/** The languages of the hosted pages. */
export type Language = "ja" | "en";

/** Texts of the hosted pages. The message of a failed sign-in has the same words as Cognito's. */
export const words = {
  ja: {
    signIn: "サインイン",
    intro: "ローカルの Amazon Cognito です。お客さまを選ぶと、すぐにサインインできます。",
    email: "E メール",
    password: "パスワード",
    forgot: "パスワードをお忘れですか?",
    noAccount: "アカウントをお持ちでないですか?",
    signUp: "サインアップ",
    incorrect: "ユーザー名またはパスワードが正しくありません。",
    stale: "このページは古くなっています。もう一度お試しください。",
    seeded: "ローカルでは、お客さまはあらかじめ登録されています。ここでは登録もパスワードの変更もできません。",
    back: "サインインに戻る",
    other: "English",
  },
  en: {
    signIn: "Sign in",
    intro: "This is the local Amazon Cognito. Choose a customer to sign in at once.",
    email: "Email",
    password: "Password",
    forgot: "Forgot your password?",
    noAccount: "Don't have an account?",
    signUp: "Sign up",
    incorrect: "Incorrect username or password.",
    stale: "This page is out of date. Please try again.",
    seeded: "Customers of the local cloud are seeded. You cannot sign up or change a password here.",
    back: "Back to sign in",
    other: "日本語",
  },
} as const;

/** The language of a page: the `lang` parameter as in Cognito, else the browser's preference, else English. */
export function languageOf(lang: string | undefined, acceptLanguage: string | undefined): Language {
  const wanted = lang || acceptLanguage || "";
  const japanese = wanted.search(/\bja\b/i);
  const english = wanted.search(/\ben\b/i);
  return japanese >= 0 && (english < 0 || japanese < english) ? "ja" : "en";
}
