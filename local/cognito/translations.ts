import type { JsonProtocolError } from "../aws/jsonProtocol";
import type { PasswordPolicy } from "./password";

/** The languages of the hosted pages. */
export type Language = "ja" | "en";

/** Texts of the hosted pages. */
export const words = {
  ja: {
    signIn: "サインイン",
    intro: "ローカルの Amazon Cognito です。お客さまを選ぶと、すぐにサインインできます。",
    email: "E メール",
    password: "パスワード",
    newPassword: "新しいパスワード",
    forgot: "パスワードをお忘れですか?",
    noAccount: "アカウントをお持ちでないですか?",
    hasAccount: "アカウントをお持ちですか?",
    signUp: "サインアップ",
    signUpIntro: "E メールアドレスとパスワードを決めてください。",
    confirm: "アカウントの確認",
    confirmAccount: "確認する",
    codeSent: (email: string) =>
      `${email} あての確認コードを入力してください。ローカルではメールを送りません。コードは npm start の端末に表示されます。`,
    code: "確認コード",
    resend: "新しいコードを送る",
    reset: "パスワードの再設定",
    forgotIntro: "E メールアドレスを入力してください。新しいパスワードを決めるためのコードを送ります。",
    sendCode: "コードを送る",
    changePassword: "パスワードを変更する",
    hasNewPassword: "パスワードを変更しました。新しいパスワードでサインインしてください。",
    stale: "このページは古くなっています。もう一度お試しください。",
    back: "サインインに戻る",
    other: "English",
  },
  en: {
    signIn: "Sign in",
    intro: "This is the local Amazon Cognito. Choose a customer to sign in at once.",
    email: "Email",
    password: "Password",
    newPassword: "New password",
    forgot: "Forgot your password?",
    noAccount: "Don't have an account?",
    hasAccount: "Have an account already?",
    signUp: "Sign up",
    signUpIntro: "Choose your email address and password.",
    confirm: "Confirm your account",
    confirmAccount: "Confirm account",
    codeSent: (email: string) =>
      `Enter the code for ${email}. The local cloud sends no email: the code is in the terminal of npm start.`,
    code: "Code",
    resend: "Send a new code",
    reset: "Reset your password",
    forgotIntro: "Enter your email address. You get a code with which you can set a new password.",
    sendCode: "Send code",
    changePassword: "Change password",
    hasNewPassword: "Your password is changed. Sign in with the new one.",
    stale: "This page is out of date. Please try again.",
    back: "Back to sign in",
    other: "日本語",
  },
} as const;

/** Reason why a page's form was refused: an error of Cognito, or a page that is too old. */
export type Alert = JsonProtocolError | "stale";

/** Japanese for Cognito's error messages. */
const japanese: Record<string, string> = {
  "Incorrect username or password.": "ユーザー名またはパスワードが正しくありません。",
  "User already exists": "この E メールアドレスは登録済みです。",
  "Username should be an email.": "E メールアドレスの形式が正しくありません。",
  "SignUp is not permitted for this user pool": "このユーザープールではサインアップできません。",
  "User is already confirmed.": "このアカウントは確認済みです。サインインしてください。",
  "User cannot be confirmed. Current status is CONFIRMED": "このアカウントは確認済みです。サインインしてください。",
  "Invalid verification code provided, please try again.": "確認コードが違います。もう一度入力してください。",
  "Invalid code provided, please request a code again.":
    "確認コードの期限が切れています。新しいコードを送ってください。",
  "Attempt limit exceeded, please try after some time.": "試した回数が多すぎます。しばらくしてからお試しください。",
  "Cannot reset password for the user as there is no registered/verified email or phone_number":
    "E メールアドレスが未確認のため、パスワードを再設定できません。",
};

/** Text of an alert. In English it is Cognito's message. */
export function alertOf(alert: Alert, language: Language): string {
  if (alert === "stale") return words[language].stale;
  if (language === "en") return alert.message;
  if (alert.type === "InvalidPasswordException") return "パスワードが下の条件を満たしていません。";
  return japanese[alert.message] ?? alert.message;
}

/** The rules of a password, one per line. */
export function policyLines(policy: PasswordPolicy, language: Language): string[] {
  const isJapanese = language === "ja";
  const lines = [
    isJapanese ? `${policy.minimumLength} 文字以上` : `At least ${policy.minimumLength} characters`,
    policy.requireLowercase && (isJapanese ? "英小文字を含む" : "A lower case letter"),
    policy.requireUppercase && (isJapanese ? "英大文字を含む" : "An upper case letter"),
    policy.requireNumbers && (isJapanese ? "数字を含む" : "A number"),
    policy.requireSymbols && (isJapanese ? "記号を含む" : "A symbol"),
  ];
  return lines.filter((line) => line !== false);
}

/**
 * The language of a page. The `lang` parameter comes first, as in Cognito, then the browser's preference, then English.
 */
export function languageOf(lang: string | undefined, acceptLanguage: string | undefined): Language {
  const wanted = lang || acceptLanguage || "";
  const japaneseAt = wanted.search(/\bja\b/i);
  const englishAt = wanted.search(/\ben\b/i);
  return japaneseAt >= 0 && (englishAt < 0 || japaneseAt < englishAt) ? "ja" : "en";
}
