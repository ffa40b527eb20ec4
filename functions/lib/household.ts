import { isIPv6 } from "node:net";
import { shortHash } from "./hash";

/**
 * Name of a household in the `ephemeral` table. A household is one IPv4 address or one IPv6 /64, and limits count per
 * household. The name is a hash, so that the table contains no addresses. All spellings of an address have the same
 * name (RFC 4291, 2.2).
 */
export function householdHash(address: string): string {
  return shortHash(isIPv6(address) ? ipv6Household(address) : address);
}

/** Returns the IPv4 address of an IPv4-mapped address (`::ffff:192.0.2.1`), and the /64 of any other IPv6 address. */
function ipv6Household(address: string): string {
  const groups = ipv6Groups(address);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped)
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join(".");
  return groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":");
}

/** The eight groups of an IPv6 address, as numbers. */
function ipv6Groups(address: string): number[] {
  // The URL parser converts an address to its canonical spelling (WHATWG URL, host serializing). A zone such as %eth0
  // is not a part of the address.
  const { hostname } = new URL(`http://[${address.replace(/%.*$/, "")}]`);
  const [head = [], tail = []] = hostname
    .slice(1, -1)
    .split("::")
    .map((half) => half.split(":").filter(Boolean));
  const zeros = Array<string>(8 - head.length - tail.length).fill("0");
  return [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
}
