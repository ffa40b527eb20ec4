import type { Customer, PlanInfo, Session } from "../../client";
import { byId, language, setText } from "./dom";
import { words } from "./translations";

/** The current visitor's session. Without `customer` the visitor is a guest. */
export interface Visitor {
  session: Session;
  customer?: Customer;
  plan?: PlanInfo;
}

/** Shows the visitor, the session's plan and the chat's URL. */
export function showVisitor({ session, customer }: Visitor): void {
  const who = byId("who", HTMLElement);
  if (customer) {
    delete who.dataset.word;
    who.textContent = customer.email ?? customer.sub;
  } else {
    setText(who, "guestName");
  }
  const badge = byId("plan", HTMLElement);
  badge.textContent = session.plan;
  badge.dataset.plan = session.plan;
  byId("model", HTMLElement).textContent = session.model;
  byId("endpoint", HTMLElement).textContent = new URL(session.inference.url).host;
  byId("endpoint", HTMLElement).title = session.inference.url;
  setText(byId("leave", HTMLButtonElement), customer ? "signOut" : "leave");
  showTicket(session);
}

/** Shows the remaining lifetime of the session's ticket. */
export function showTicket(session: Session): void {
  const seconds = Math.ceil((Date.parse(session.ticket_expires_at) - Date.now()) / 1000);
  const { ticketLeft, ticketOver } = words[language()];
  byId("ticket", HTMLElement).textContent = seconds > 0 ? ticketLeft.replace("{seconds}", String(seconds)) : ticketOver;
}
