import * as z from "zod/mini";
import { Limits, Model, Plan } from "./plan";

/** Endpoint to which a session's chats are sent. */
export const Inference = z.object({
  /** Base URL of the model's job API at RunPod: POST `<url>/run`, GET `<url>/stream/<id>` and `<url>/status/<id>`. */
  url: z.url(),
  /** Value of the `Authorization` header. */
  authorization: z.string(),
});

export type Inference = z.infer<typeof Inference>;

/** Response of `POST /auth/session` and `POST /auth/guest`. */
export const SessionResponse = z.object({
  /** Cognito `sub`, or `guest:<uuid>`. */
  user_id: z.string(),
  plan: Plan,
  model: Model,
  inference: Inference,
  /** Sent as `input.ticket` with every job. */
  ticket: z.string(),
  ticket_expires_at: z.iso.datetime(),
  limits: Limits,
});
export type SessionResponse = z.infer<typeof SessionResponse>;
