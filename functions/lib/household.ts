import { createHash } from "node:crypto";

/**
 * Key under which a caller without an account is counted: their household, which is one IPv4 address or one IPv6 /64.
 * Hashed, so that the table holds no addresses.
 */
export function householdHash(address: string): string {
  const household = address.includes(":") ? ipv6Groups(address).slice(0, 4).join(":") : address;
  return createHash("sha256").update(household).digest("base64url").slice(0, 22);
}

/** Expands an IPv6 address to its eight groups. */
function ipv6Groups(address: string): string[] {
  const [head = [], tail = []] = address.split("::").map((half) => half.split(":").filter(Boolean));
  return [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail];
}
