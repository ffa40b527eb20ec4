import * as z from "zod/mini";
import { Limits, Model, Plan } from "./plan";

/** Target of a session's chats: kind, URL and authorization. */
const Inference = z.object({
  /**
   * `relay` streams chats of every model. `runpod` is the job API of the model's endpoint. A session from an earlier
   * version has no kind, which means `runpod`.
   */
  kind: z.optional(z.enum(["relay", "runpod"])),
  /**
   * Base URL. Relay: POST `<url>/chat`, POST `<url>/chat/<id>/cancel`. RunPod: POST `<url>/run`, GET `<url>/stream/<id>` and
   * `<url>/status/<id>`.
   */
  url: z.url(),
  /** Value of the `Authorization` header: the ticket for the relay, the endpoint's browser key for RunPod. */
  authorization: z.string(),
});

/** Response of `POST /auth/session` and `POST /auth/guest`. */
export const SessionResponse = z.object({
  /** Cognito `sub`, or `guest:<uuid>`. */
  user_id: z.string(),
  plan: Plan,
  model: Model,
  inference: Inference,
  /**
   * The client sends the ticket as `input.ticket` in every RunPod job. For the relay, `inference.authorization` already
   * contains the ticket.
   */
  ticket: z.string(),
  ticket_expires_at: z.iso.datetime(),
  limits: Limits,
});
export type SessionResponse = z.infer<typeof SessionResponse>;
