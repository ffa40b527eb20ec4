import { shortHash } from "./hash";

/**
 * Name of a household in the `ephemeral` table. Limits count per household: one IPv4 address or one IPv6 /64. The name is
 * a hash, so that the table holds no addresses.
 */
export function householdHash(address: string): string {
  return shortHash(address.includes(":") ? ipv6Groups(address).slice(0, 4).join(":") : address);
}

/** Expands an IPv6 address to its eight groups. */
function ipv6Groups(address: string): string[] {
  const [head = [], tail = []] = address.split("::").map((half) => half.split(":").filter(Boolean));
  return [...head, ...Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0"), ...tail];
}
