/** The browser client of Snack Misaki: sign in, ask for a session, chat. No dependencies. */
export { type Api, type ApiOptions, createApi } from "./api";
export { type ChatOptions, chat } from "./chat";
export { fitConversation } from "./conversation";
export { ApiProblem } from "./problem";
export { type Customer, createSignIn, type SignIn, type SignInOptions } from "./signIn";
export type {
  ChatDelta,
  ChatDone,
  ChatInput,
  ChatItem,
  ChatMessage,
  Limits,
  Model,
  PaidPlan,
  Plan,
  PlanInfo,
  ProblemCode,
  Redirect,
  Session,
} from "./types";
