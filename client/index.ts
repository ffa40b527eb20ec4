/** Browser client of Snack Misaki: sign-in, session and chat. The client has no dependencies. */
export { type Api, type ApiOptions, createApi } from "./api";
export { type Chat, type ChatOptions, chat } from "./chat";
export { type Client, type ClientEvent, type ClientOptions, createClient } from "./client";
export { fitConversation } from "./conversation";
export type { Customer } from "./idToken";
export { ApiProblem, type ProblemCode } from "./problem";
export { createSignIn, type SignIn, type SignInEvent, type SignInOptions, type StartOptions } from "./signIn";
export type { KeyValueStorage } from "./store";
export type {
  ChatDelta,
  ChatDone,
  ChatInput,
  ChatItem,
  ChatMessage,
  ChatRestart,
  ChatWaiting,
  Limits,
  PaidPlan,
  Plan,
  PlanInfo,
  Redirect,
  Session,
  Usage,
} from "./types";
