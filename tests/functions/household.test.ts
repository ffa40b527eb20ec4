import { describe, expect, it } from "vitest";
import { householdHash } from "../../functions/lib/household";

describe("The household of an address", () => {
  it.each([
    ["2001:0db8:0000:0042:0000:8a2e:0370:7334", "2001:db8:0:42:0:8a2e:370:7334"],
    ["2001:DB8:0:42::1", "2001:db8:0:42::1"],
    ["2001:db8:0:42:ffff:ffff:ffff:ffff", "2001:db8:0:42::"],
    ["2001:db8::42:0:0:0:1", "2001:db8:0:42::1"],
    ["2001:db8:0:42::192.0.2.1", "2001:db8:0:42::1"],
    ["fe80::1%eth0", "fe80::1"],
    ["::1", "0:0:0:0:0:0:0:1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:c000:201", "192.0.2.1"],
  ])("is the same for %s and %s", (spelling, canonical) => {
    expect(householdHash(spelling)).toBe(householdHash(canonical));
  });

  it.each([
    ["2001:db8:0:42::1", "2001:db8:0:43::1"],
    ["2001:db8::1", "2001:db9::1"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.2"],
    ["192.0.2.1", "192.0.2.2"],
    // After another prefix, the final 32 bits are not an IPv4 address.
    ["64:ff9b::192.0.2.1", "192.0.2.1"],
  ])("differs for %s and %s", (one, other) => {
    expect(householdHash(one)).not.toBe(householdHash(other));
  });

  it("contains no part of the address", () => {
    expect(householdHash("192.0.2.1")).toMatch(/^[\w-]{22}$/);
  });
});
