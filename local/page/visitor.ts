import type { Customer, PlanInfo, Session } from "@snack-misaki/client";
import { byId, setText } from "./dom";

/** The current visitor's session. Without `customer` the visitor is a guest. */
export interface Visitor {
  session: Session;
  customer?: Customer;
  plan?: PlanInfo;
}

/** Shows the visitor and the plan. For developers, also shows model, chat URL and ticket. */
export function showVisitor({ session, customer }: Visitor): void {
  const who = byId("who", HTMLElement);
  if (customer) {
    delete who.dataset.word;
    who.textContent = customer.email ?? customer.sub;
  } else {
    setText(who, "guestName");
  }
  const badge = byId("plan", HTMLElement);
  setText(badge, `plan_${session.plan}`);
  badge.dataset.plan = session.plan;
  setText(byId("leave", HTMLButtonElement), customer ? "signOut" : "leave");
  byId("seat-sign-in", HTMLButtonElement).hidden = customer !== undefined;
  byId("seat-facts", HTMLElement).hidden = false;
  byId("model", HTMLElement).textContent = session.model;
  byId("endpoint", HTMLElement).textContent = new URL(session.inference.url).host;
  byId("endpoint", HTMLElement).title = session.inference.url;
  showTicket(session);
}

/** Shows the remaining lifetime of the session's ticket. */
export function showTicket(session: Session): void {
  const seconds = Math.ceil((Date.parse(session.ticket_expires_at) - Date.now()) / 1000);
  const ticket = byId("ticket", HTMLElement);
  if (seconds > 0) setText(ticket, "ticketLeft", { seconds });
  else setText(ticket, "ticketOver");
}
