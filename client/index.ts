/** Browser client of Snack Misaki: sign-in, session and chat. The client has no dependencies. */
export { type Api, type ApiOptions, createApi } from "./api";
export { type ChatOptions, chat } from "./chat";
export { fitConversation } from "./conversation";
export { ApiProblem, type ProblemCode } from "./problem";
export { type Customer, createSignIn, type SignIn, type SignInOptions } from "./signIn";
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
