import type { Customer, PlanInfo, Session } from "../../client";
import { byId, language, say } from "./dom";
import { words } from "./words";

/** Who sits at the counter. Without `customer` it is a guest. */
export interface Seat {
  session: Session;
  customer?: Customer;
  plan?: PlanInfo;
}

/** Shows who is in, the plan of their session, and where their chat goes. */
export function showSeat({ session, customer }: Seat): void {
  const who = byId("who", HTMLElement);
  if (customer) {
    delete who.dataset.word;
    who.textContent = customer.email ?? customer.sub;
  } else {
    say(who, "guestName");
  }
  const badge = byId("plan", HTMLElement);
  badge.textContent = session.plan;
  badge.dataset.plan = session.plan;
  byId("model", HTMLElement).textContent = session.model;
  byId("endpoint", HTMLElement).textContent = new URL(session.inference.url).host;
  byId("endpoint", HTMLElement).title = session.inference.url;
  say(byId("leave", HTMLButtonElement), customer ? "signOut" : "leave");
  showTicket(session);
}

/** Shows how long the session's ticket still lasts. */
export function showTicket(session: Session): void {
  const seconds = Math.ceil((Date.parse(session.ticket_expires_at) - Date.now()) / 1000);
  const { ticketLeft, ticketOver } = words[language()];
  byId("ticket", HTMLElement).textContent = seconds > 0 ? ticketLeft.replace("{seconds}", String(seconds)) : ticketOver;
}
